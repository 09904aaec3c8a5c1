coproc doubler { while read -r n; do sleep 0.01; echo $((2 * n)); done; }
for n in 1 2 3; do
    echo $n >&"${doubler[1]}"
    read -r twice <&"${doubler[0]}"
    echo "$n doubled is $twice"
done
pid=$doubler_PID
eval "exec ${doubler[1]}>&-"
wait "$pid"
echo "coprocess: $?"
diff <(sleep 0.03; seq 5) <(sleep 0.01; seq 4 8)
echo "diff: $?"
for t in 0.15 0.05 0.1; do (sleep $t; exit ${t#0.}) & done
for _ in 1 2 3; do wait -n; ended+=($?); done
printf 'ended: %s\n' "${ended[@]}" | sort
mkfifo fifo
exec 4<>fifo
read -t 0.03 -r -u 4 line
echo "late: $?"
(sleep 0.03; echo in time >fifo) &
read -t 5 -r -u 4 line
echo "in time: $? $line"
wait
mapfile -t lines < <(for i in {1..5}; do sleep 0.005; echo "line $i"; done)
echo "${#lines[@]} ${lines[4]}"
set -o pipefail
sleep 0.02 | (exit 3) | cat
echo "${PIPESTATUS[*]}"
(trap 'echo interrupted; kill $!; exit 9' TERM; sleep 5 & touch trapping; wait) &
until [ -e trapping ]; do sleep 0.01; done
kill $!
wait $!
echo "trap: $?"
ends() { kill -USR2 $BASHPID; sleep 1; }
(ends) 2>/dev/null
echo "signal: $?"
printf '%s\n' {1..20000} | tail -n 1
set -m
sleep 0.05 &
fg %sleep
echo "foreground: $?"
exit 6
