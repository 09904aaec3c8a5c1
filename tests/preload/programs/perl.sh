# waits: perl
# parks: perl read select
# status: 6
exec perl "$JOBS/perl.pl"
