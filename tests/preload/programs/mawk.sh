# waits: mawk
(sleep 0.03; seq 3; sleep 0.02; seq 4 6) | mawk '
{ sum += $1; command = "sleep 0.02; echo " ($1 * $1); command | getline square; close(command); print $1, square }
END {
    print sum | "sleep 0.01; cat"; close("sleep 0.01; cat")
    print "status", system("sleep 0.02; exit 3")
    for (i = 6; i > 0; --i) print i | "sort -n | tail -n 2"
    close("sort -n | tail -n 2")
    while ((getline line < ARGV[0]) > 0) n++
    exit sum
}' || echo "status $?"
