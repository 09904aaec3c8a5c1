# waits: screen
# package: screen
export SCREENDIR="$HOME/s"; mkdir -m 700 s
screen -c /dev/null -dmS work sh
trap 'screen -S work -X quit >/dev/null || true' EXIT
until screen -S work -Q select . >/dev/null 2>&1; do sleep 0.02; done
screen -S work -X stuff 'sleep 0.05; echo typed $((6 * 7)) >typed; exit
'
until [ -s typed ]; do sleep 0.01; done; cat typed
while screen -S work -Q select . >/dev/null 2>&1; do sleep 0.02; done
screen -c /dev/null -D -m -S second sh -c 'sleep 0.05; echo from the second >second'; cat second; screen -ls | grep -c '(' || true
