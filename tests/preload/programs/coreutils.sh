# waits: tail dd tee timeout split cat head wc
# package: coreutils
(sleep 0.05; seq 10) | tee one two | tail -n 1; cat one two | wc -l
(for n in 1 2 3; do sleep 0.02; echo "grows $n"; done) >log & tail -f --pid=$! -s 0.02 -n +1 log
tail -F --pid=$$ -s 0.02 later 2>/dev/null | head -n 2 & (sleep 0.05; echo a >later; sleep 0.05; echo b >>later); wait $!
timeout 0.05 sleep 5 || echo "late: $?"; timeout -s KILL 0.05 sh -c 'sleep 5 & wait' 2>/dev/null || echo "killed: $?"; timeout 5 sh -c 'sleep 0.02; exit 4' || echo "status $?"
(sleep 0.03; seq 5000) | dd bs=1000 iflag=fullblock status=none | sha256sum; (seq 3; sleep 0.02; seq 3) | dd bs=100 of=short 2>&1 | head -n 1
seq 3000 | (sleep 0.03; cat) | split -l 1000 --filter='sleep 0.02; wc -l; echo $FILE'
mkfifo fifo; (sleep 0.03; seq 3) >fifo & cat fifo | head -n 2; (sleep 0.05; seq 4) | wc; (sleep 0.05; echo x) | head -c 1; echo
yes | (sleep 0.02; head -n 5000) | sha256sum; (sleep 0.02; echo b; echo a) | stdbuf -o0 cat -n | cat
(sleep 0.02; echo 3) | shuf | nl; stat -c %s one; install -m 600 one three; mv three four; cp --reflink=never four five; cmp one five && echo same; sync five; env -i sleep 0.01
