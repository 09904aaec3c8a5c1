# waits: gawk
# package: gawk
# Coprocesses, also through a terminal; both ends of a connection; time limits of reads.
cat >server.awk <<'END'
BEGIN {
    command = "sort -n"
    for (i = 5; i > 0; --i) print i |& command
    close(command, "to")
    while ((command |& getline line) > 0) printf "%s ", line
    print close(command)
    PROCINFO["cat 2>/dev/null", "pty"] = 1
    print "through a terminal" |& "cat 2>/dev/null"; "cat 2>/dev/null" |& getline line; sub(/\r/, "", line); print line
    slow = "sleep 0.2; echo too late"; PROCINFO[slow, "READ_TIMEOUT"] = 30; PROCINFO[slow, "RETRY"] = 1
    print (slow |& getline line), ERRNO; close(slow)
    "sleep 0.02; echo one; echo two" | getline line; print line
    print system("sleep 0.02; exit 3"), system("kill -TERM $$")
    print "sorted" | "sleep 0.02; cat"; print close("sleep 0.02; cat")
    print "c\na\nb" | "sort >&2"
}
END
gawk -f server.awk
(sleep 0.03; echo slow; sleep 0.02; echo input) | gawk '{ print NR, $0 } END { fflush(); exit NR }' || echo "status $?"
. "$JOBS/common"
port=$(port)
serve $without /usr/bin/python3 "$JOBS/slow_server.py" "$ADDRESS" "$port"
listens "$port"
gawk -v service="/inet/tcp/0/$ADDRESS/$port" 'BEGIN {
    RS = ORS = "\r\n"
    print "GET /slow/40/hello HTTP/1.0\r\n" |& service
    while ((service |& getline) > 0) print
}' | tr -d '\r'
