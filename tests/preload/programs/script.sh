# waits: script
# A terminal for others: poll, signals, both directions.
(until [ -e ready ]; do sleep 0.01; done; echo typed; sleep 0.1; printf '\004') | script -qec 'stty -echo; tty >/dev/null && echo a terminal; touch ready; while read -r x; do echo "read $x"; done; echo end' out
tr -d '\r' <out | grep -v '^Script'
script -qec 'sleep 0.05; kill -TERM $$' /dev/null || echo "status $?"
script -qec 'seq 20000' /dev/null | sha256sum
script -qec 'stty size; sleep 0.05; exit 3' /dev/null || echo "status $?"
