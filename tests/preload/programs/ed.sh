# waits: ed
# package: ed
seq 5 >numbers
(echo 'g/[24]/s/$/ even/p'; sleep 0.03; echo '$r !sleep 0.02; echo read'; echo '!sleep 0.02; echo shell'; sleep 0.02; printf '0a\nfirst\n.\n,p\nw out\nw !sleep 0.02; wc -l\nu\nQ\n') | ed -s numbers
cat out
(sleep 0.03; printf 'bad\nh\nq\n') | ed numbers || echo "status $?"
(sleep 0.02; echo '1,$d'; echo q) | ed -s numbers || echo "status $?"
