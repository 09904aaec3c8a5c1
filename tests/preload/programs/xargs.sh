# waits: xargs find
(sleep 0.03; seq 9) | xargs -n 2 -P 4 sh -c 'sleep 0.0$(($1 % 4 + 1)); echo "$@" >$1.out' sh
cat *.out
(echo a; sleep 0.02; echo b) | xargs -I{} sh -c 'sleep 0.01; echo "<{}>"; exit 1' || echo "status $?"
seq 3 | xargs -n1 sh -c 'sleep 0.02; exit 255' || echo "status $?"
find . -name '*.out' -exec sh -c 'sleep 0.02; wc -c "$@"' sh {} + | tail -n 1
find . -name '[13].out' -exec sh -c 'sleep 0.01; echo $1' sh {} \; | sort
find . -name '1.out' -printf "%f %s\n" -delete; ls | wc -l
