# waits: socat
# package: socat
. "$JOBS/common"
port=$(port)
echo 'read x; sleep 0.02; echo answer to $x' >answer.sh; echo 'stty -a | grep -o icanon; read x; echo got $x' >terminal.sh
serve socat "TCP-LISTEN:$port,bind=$ADDRESS,reuseaddr,fork" EXEC:'sh answer.sh'
listens "$port"
for n in 1 2 3; do echo $n | socat -t5 - "TCP:$ADDRESS:$port"; done
serve socat UNIX-LISTEN:"$HOME/socket",fork SYSTEM:'sleep 0.02; tr a-z A-Z'
listens "$HOME/socket"
seq -f 'line %g' 20000 | socat -t5 - UNIX-CONNECT:"$HOME/socket" | sha256sum
(sleep 0.02; echo typed) | socat -t5 - EXEC:'sh terminal.sh',pty,stderr,setsid,ctty,echo=0 | tr -d '\r'
socat -u "EXEC:seq 5" SYSTEM:'sort -r >sorted; echo >done'; while [ ! -e done ]; do sleep 0.01; done; cat sorted
datagrams=$(port); serve socat -u "UDP-RECV:$datagrams,bind=$ADDRESS" CREATE:datagrams
until grep -q "$(printf ':%04X ' "$datagrams")" /proc/net/udp; do sleep 0.01; done
echo datagram | socat -u - "UDP:$ADDRESS:$datagrams"; while [ ! -s datagrams ]; do sleep 0.01; done; cat datagrams
socat -t5 - "TCP:$ADDRESS:$port" </dev/null | wc -c; socat - "TCP:$ADDRESS:1" 2>/dev/null </dev/null || echo "refused: $?"
