# waits: less more
# package: less expect
exec expect -f "$JOBS/less.exp"
