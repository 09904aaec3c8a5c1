# waits: jq
# package: jq
(for n in 1 2 3; do sleep 0.02; echo "{\"n\": $n, \"s\": [1, \"x\"]}"; done) | jq -c --unbuffered '.n += 1 | .s[1]'
(echo '['; sleep 0.03; seq -s, 20000; echo ']') | jq 'add'
(sleep 0.03; echo '{"a": [1, 2') | jq . || echo "status $?"
mkfifo f; (sleep 0.03; echo '{"k": 5}') >f & jq --slurpfile x f -n '$x[0].k | select(. > 4)'; echo null | jq -e . || echo "status $?"
