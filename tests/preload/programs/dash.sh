# waits: dash cat sleep
# status: 5
# Pipes, background jobs, FIFOs, here-documents, traps that interrupt a wait.
mkfifo fifo
(sleep 0.05; echo through; echo the fifo) >fifo &
while read -r line; do echo "got $line"; done <fifo
wait $!
(sleep 0.05; exit 7) & first=$!
(exit 3) & second=$!
wait $second || echo "second: $?"
wait $first || echo "first: $?"
{ sleep 0.03; echo a; sleep 0.03; echo b >&2; } 2>&1 | cat | sort -r
x=$(sleep 0.02; echo substituted; exit 4) || echo "status $?, $x"
cat <<END
here $(sleep 0.02; echo document)
END
trap 'echo trapped' USR1
(sleep 0.05; kill -USR1 $$) &
sleep 60 & sleeper=$!
wait $sleeper || echo "wait ended by $(($? - 128))"
kill $sleeper; wait $sleeper 2>/dev/null || echo "sleep: $?"
read -r nothing </dev/null || echo "end of file: $?"
ulimit -t >/dev/null
sh -c 'kill -TERM $$' || echo "killed: $?"
exec 3<>fifo; echo both >&3; read -r line <&3; echo "$line"
exit 5
