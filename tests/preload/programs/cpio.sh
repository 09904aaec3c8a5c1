# waits: cpio
# package: cpio
mkdir tree out; seq 5000 >tree/a; echo b >tree/b; ln tree/a tree/c; touch -d '2020-01-02 03:04:05' tree/* tree
(sleep 0.02; echo tree; sleep 0.02; printf 'tree/%s\n' a b c) | cpio -o -H newc --reproducible --quiet -R 0:0 >archive
sed 's/070701/HEAD/g' archive | wc -c; (sleep 0.03; cat archive) | cpio -it --quiet
cd out; (head -c 600 ../archive; sleep 0.03; tail -c +601 ../archive) | cpio -id; cd ..; diff -r tree out/tree && echo same
find tree | (sleep 0.02; sort) | cpio -pd copied 2>&1; diff -r tree copied/tree && echo same
head -c 700 archive | (sleep 0.02; cat) | cpio -it || echo "status $?"
