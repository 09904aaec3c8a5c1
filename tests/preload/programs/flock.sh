# waits: flock
flock lock sh -c 'touch held; while [ ! -e release ]; do sleep 0.01; done; echo first' &
until [ -e held ]; do sleep 0.01; done
flock -n lock echo never || echo "taken: $?"
flock -w 0.02 -E 9 lock echo never || echo "late: $?"
(sleep 0.05; touch release) &
flock -s lock echo second
wait
flock -s lock flock -s lock echo shared
(flock -x 9; echo "descriptor"; flock -n lock true || echo "held: $?") 9>lock
flock lock sh -c 'exit 6' || echo "status $?"
flock lock sleep 0.1 & flock lock true; wait; flock /nowhere/lock true || echo "status $?"
