# waits: wget
# package: wget
. "$JOBS/common"
port=$(port)
serve $without /usr/bin/python3 "$JOBS/slow_server.py" "$ADDRESS" "$port"
listens "$port"
url=http://$ADDRESS:$port
wget -q -O- "$url/slow/50/hello" "$url/redirect/again"
wget -q -O- --limit-rate=4m "$url/large" | sha256sum
wget -q -O/dev/null -T 0.1 -t 2 --waitretry=0 "$url/slow/2000/never" || echo "late: $?"
wget -q -O/dev/null "$url/status/500" || echo "status: $?"
wget -q -O/dev/null -t 2 --waitretry=0 "$url/cut" || echo "cut: $?"
seq 10000 >upload; wget -q -O- --post-file=upload "$url/digest"
wget -q -b -o log -O back "$url/slow/80/background" >/dev/null; while ! grep -q background back 2>/dev/null; do sleep 0.01; done; cat back
wget -q -t 1 "http://$ADDRESS:1/" || echo "refused: $?"
(sleep 0.02; echo "$url/slow/10/from") | wget -q -O- -i -
wget -q -t1 http://name.invalid/ || echo "no name: $?"
