# waits: redis-check-rdb redis-cli
# package: redis-server redis-tools
. "$JOBS/common"
port=$(port)
serve redis-server --bind "$ADDRESS" --port "$port" --unixsocket "$HOME/socket" --save '' --dir "$HOME" --logfile log --io-threads 2
listens "$port"; listens "$HOME/socket"
cli="redis-cli -h $ADDRESS -p $port"
$cli set key value; $cli get key; $cli -s "$HOME/socket" incr counter
$cli blpop list 5 >popped & blocked=$!
until $cli client list | grep -q cmd=blpop; do sleep 0.01; done
$cli rpush list pushed; wait $blocked; cat popped
$cli blpop list 0.05; echo "late: $?"
(echo 'multi'; sleep 0.02; echo 'incr counter'; echo 'incr counter'; sleep 0.02; echo exec) | $cli
seq 20000 | sed 's/.*/SET many:& &/' | $cli --pipe | tail -n 1; $cli dbsize
$cli subscribe channel >heard & listener=$!
until [ "$($cli publish channel message)" = 1 ]; do sleep 0.01; done
until grep -q message heard; do sleep 0.01; done; kill $listener 2>/dev/null; wait $listener 2>/dev/null || true; cat heard
$cli eval 'local n = 0 for i = 1, 200000 do n = n + i end return n' 0
$cli bgsave >/dev/null; until [ "$($cli info persistence | grep -c rdb_bgsave_in_progress:0)" = 1 ]; do sleep 0.01; done; $cli info persistence | grep last_bgsave_status | tr -d '\r'
redis-check-rdb dump.rdb | grep -c 'Checksum OK'; $cli config set appendonly yes; $cli set durable 1
until [ "$($cli info persistence | grep -c aof_rewrite_in_progress:0)" = 1 ]; do sleep 0.01; done
$cli client kill none 2>&1; $cli wait 0 10
$cli shutdown nosave; wait $servers; echo "server: $?"; servers=
$cli ping 2>/dev/null || echo "gone: $?"
