# waits: tclsh8.6
# package: tcl
# status: 6
exec tclsh "$JOBS/tcl.tcl"
