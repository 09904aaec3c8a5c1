after 30 {set fired later}; after 10 {set fired sooner}
vwait fired; puts $fired; vwait fired; puts $fired
set pipe [open {|sh -c "while read x; do sleep 0.01; echo got \$x; done; exit 3"} r+]
fconfigure $pipe -buffering line
puts $pipe one; puts [gets $pipe]; puts $pipe two; puts [gets $pipe]
puts [catch {close $pipe w; read $pipe; close $pipe} message options]
puts [lindex [dict get $options -errorcode] end]
proc accept {channel address port} { fconfigure $channel -buffering line; fileevent $channel readable [list serve $channel] }
proc serve channel { if {[gets $channel line] < 0} { close $channel; incr ::closed } else { after 10 [list puts $channel [string toupper $line]] } }
set server [socket -server accept -myaddr $env(ADDRESS) 0]
set port [lindex [fconfigure $server -sockname] 2]
set closed 0
foreach n {1 2 3} {
    set client($n) [socket -async $env(ADDRESS) $port]
    fconfigure $client($n) -buffering line -blocking 0
    puts $client($n) "hello $n"
    fileevent $client($n) readable [list receive $n]
}
proc receive n { if {[gets $::client($n) line] >= 0} { lappend ::said $line; close $::client($n) } }
while {$closed < 3} { vwait closed }
puts [lsort $said]
puts [exec sh -c "sleep 0.02; echo executed" | sort]
puts [catch {exec sh -c "sleep 0.02; exit 4"} message]-$message
puts [catch {socket $env(ADDRESS) 1} message]
if {![catch {package require Thread}]} { set t [thread::create {after 10; thread::wait}]; thread::release $t }
puts stderr "to stderr"
exit 6
