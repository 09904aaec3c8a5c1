# waits: perl
# package: parallel
export PARALLEL_HOME="$HOME/p"; mkdir p; touch p/will-cite
(sleep 0.03; seq 6) | parallel -k -j3 'sleep 0.0{}; echo "{} done"'
seq 3000 | parallel -k --pipe -N1000 -j2 'sleep 0.02; wc -l'
parallel -j2 --halt now,fail=1 'sleep 0.0{}; exit {}' ::: 0 3 2>/dev/null || echo "status $?"
parallel -k --timeout 0.1 -j2 'sleep {}; echo {}' ::: 0.01 5 || echo "late: $?"
