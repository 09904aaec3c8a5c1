# waits: sort
# parks: sort fread_unlocked
# Threads, temporary files, a compressor behind a pipe, input that comes slowly.
seq 60000 | (sleep 0.05; cat) | sort --parallel=4 -S 200k -T . --compress-program=gzip -k1.2 | sha256sum
seq 30000 -1 1 | sort --parallel=2 -n | head -n 3
seq 5 >a; seq 3 7 >b; mkfifo fifo; (sleep 0.03; cat b) >fifo & sort -n -m a fifo | uniq -c
seq 5 | (sleep 0.03; cat) | sort -c -r || echo "status $?"
seq 100000 | sort -R --random-source=/bin/sh | sort -n | tail -n 1
