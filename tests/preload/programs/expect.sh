# waits: expect
# package: expect
# status: 6
exec expect -f "$JOBS/expect.exp"
