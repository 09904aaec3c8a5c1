# waits: perl
# status: 6
exec perl "$JOBS/perl.pl"
