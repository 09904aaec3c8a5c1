# waits: nc.openbsd
# package: netcat-openbsd
. "$JOBS/common"
port=$(port)
(sleep 0.05; echo answer) | nc -l -N "$ADDRESS" "$port" >got & server=$!
listens "$port"; : >said
(echo question; until [ -s said ]; do sleep 0.01; done; seq 30000) | nc -N "$ADDRESS" "$port" >said
wait $server; cat said; head -n 1 got; sha256sum <got
sleep 0.1 | nc -lUN "$HOME/socket" >got & server=$!
listens "$HOME/socket"
(sleep 0.03; echo through a file) | nc -U -N "$HOME/socket"; wait $server; cat got
nc -z "$ADDRESS" 1 || echo "refused: $?"
nc -k -l "$ADDRESS" "$port" >got & server=$!
listens "$port"
for n in 1 2 3; do (sleep 0.01; echo "client $n") | nc -N "$ADDRESS" "$port"; while [ "$(wc -l <got)" -lt $n ]; do sleep 0.01; done; done
nc -w 1 -z "$ADDRESS" "$port" && echo open; kill $server; wait $server 2>/dev/null || true; cat got
