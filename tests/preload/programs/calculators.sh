# waits: bc dc m4
# package: bc dc m4
(echo '2 ^ 10'; sleep 0.02; echo 'scale = 20; 1 / 7'; sleep 0.02; echo 'quit') | bc
(sleep 0.03; echo '1 0 / p') | bc || true
(echo '2 3 + p'; sleep 0.02; echo '!sleep 0.02; echo shell'; echo '10 k 2 v p') | dc
(echo 'define(twice, $1 $1)dnl'; sleep 0.03; echo 'twice(x)'; echo 'esyscmd(sleep 0.02; echo from a command)dnl'; echo 'syscmd(exit 3)sysval'; echo 'm4exit(5)') | m4 || echo "status $?"
