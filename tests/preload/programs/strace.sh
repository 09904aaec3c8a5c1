# waits: strace
# package: strace
# What it traces has the shim under it, too: its system calls are others then, but not how it ends.
strace -o trace -qqq -e trace=exit_group -e signal=all sh -c '(sleep 0.05; kill -USR1 $$) & trap "echo trapped" USR1; wait; exit 3' || echo "status $?"
grep -c SIGUSR1 trace; grep -o 'exit_group(3)' trace
strace -f -o trace -qqq -e trace=execve -e signal=none sh -c 'for n in 1 2 3; do sleep 0.0$n; done | cat; gzip -c </dev/null | wc -c'
grep -o '"/usr/bin/[a-z]*"' trace | sort; sleep 60 & sleeper=$!
strace -qqq -e trace=exit_group -e signal=all -o trace -p $sleeper & tracer=$!
until ! grep -q 'TracerPid:.0$' /proc/$sleeper/status; do sleep 0.01; done; sleep 0.05; kill $sleeper; wait $tracer; grep -c SIGTERM trace
(sleep 0.02; seq 1000) | strace -o '|sleep 0.02; cat >piped' -qqq -e trace=exit_group -e signal=none sort -rn | head -n 2; cat piped
strace -e trace=exit_group -o trace -qqq sh -c 'kill -TERM $$' || echo "status $?"
