# waits: busybox
# package: busybox
. "$JOBS/common"
port=$(port)
mkdir www; seq 20000 >www/many
serve busybox httpd -f -p "$ADDRESS:$port" -h www
listens "$port"
busybox wget -q -O- "http://$ADDRESS:$port/many" | busybox sha256sum; busybox wget -q -O- "http://$ADDRESS:$port/none" 2>/dev/null || echo "status $?"
(sleep 0.03; echo b; echo a) | busybox sort; (sleep 0.03; seq 5) | busybox awk '{ n += $1 } END { print n; system("sleep 0.02; echo system") }'
busybox sh -c 'for n in 3 1 2; do (sleep 0.0$n; echo "job $n" >job$n) & done; wait; cat job1 job2 job3; x=$(sleep 0.02; echo y); echo $x; read -t 0.05 z; echo $?; trap "echo trapped" USR1; (sleep 0.03; kill -USR1 $$) & wait; exit 5' </dev/null || echo "status $?"
busybox tar c www | (sleep 0.02; busybox gzip) | busybox tar tz; (sleep 0.02; seq 3) | busybox xargs -n1 echo; busybox timeout 1 sleep 0.02; echo 'p' | busybox ed www/many 2>/dev/null || true
