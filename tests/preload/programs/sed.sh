# waits: sed
slowly() { for i in 1 2 3 4 5 6; do sleep 0.01; echo "line $i"; done; }
slowly | sed -n 's/line \(.\)/\1/p; 4q'
slowly | sed 's/.*3/sleep 0.02; echo from the shell/e; w copy' | tail -n 4
wc copy
sed -i.bak 's/line/LINE/; 2r copy' copy; cat copy copy.bak | sha256sum
mkfifo fifo; slowly >fifo & sed -u '1!G;h;$!d' fifo
slowly | sed --expression='s/x' || echo "status $?"
