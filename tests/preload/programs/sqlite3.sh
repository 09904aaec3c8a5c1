# waits: sqlite3
# package: sqlite3
sqlite3 base 'create table t(n); pragma journal_mode = wal;'
mkfifo first; sqlite3 base <first & exec 3>first
echo 'begin immediate; insert into t values (1);
.shell touch begun' >&3
until [ -e begun ]; do sleep 0.01; done
sqlite3 -cmd '.timeout 20' base 'insert into t values (2)' || echo "busy: $?"
(sleep 0.1; echo 'commit;' >&3) &
sqlite3 -cmd '.timeout 20000' base 'insert into t values (3)'
exec 3>&-; wait
sqlite3 base 'select group_concat(n) from (select n from t order by n); pragma integrity_check;'
(echo 'with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000) insert into t select i from c;'; sleep 0.05; echo 'select count(*), sum(n) from t;') | sqlite3 base
sqlite3 base .dump | (sleep 0.02; sqlite3 copy); sqlite3 copy 'select sum(n) from t' '.once |sleep 0.02; cat' 'select 7' '.system sleep 0.02; echo system'
sqlite3 base 'vacuum; pragma wal_checkpoint(truncate);' 'select * from none' || echo "status $?"
