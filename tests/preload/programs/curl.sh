# waits: curl
# From a server that is slow; uploads, redirects, several at once, time limits, and who refuses.
. "$JOBS/common"
port=$(port)
serve $without /usr/bin/python3 "$JOBS/slow_server.py" "$ADDRESS" "$port"
listens "$port"
url=http://$ADDRESS:$port
curl -sS "$url/slow/50/hello"
curl -sSi -L "$url/redirect/hello" | tr -d '\r'
seq 50000 >upload; curl -sS -T upload "$url/digest"; curl -sS -F 'a=b' -H 'Expect:' "$url/length"
(sleep 0.05; seq 1000) | curl -sS -T - "$url/digest"
curl -s -Z --no-progress-meter --parallel-max 4 "$url/slow/60/one" -o one "$url/slow/20/two" -o two "$url/slow/40/three" -o three; cat one two three
curl -sS --limit-rate 2M "$url/large" | sha256sum
curl -sS -m 0.1 -o /dev/null "$url/slow/2000/never" 2>/dev/null || echo "late: $?"
curl -sS "$url/cut" -o /dev/null || echo "cut: $?"
curl -sS "http://$ADDRESS:1/" 2>/dev/null || echo "refused: $?"
curl -sS http://name.invalid/ || echo "no name: $?"
curl -sS "file://$JOBS/curl.sh" | wc -l
curl -sS -f "$url/status/404" || echo "status: $?"
curl -sS -w '%{http_code} %{size_download} %{num_connects}\n' -o /dev/null "$url/slow/10/x" -o /dev/null "$url/slow/10/y"
