use strict;
use warnings;
use Errno qw(EINTR EAGAIN ETIMEDOUT);
use Fcntl qw(:flock);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h :signal_h);
use Socket;
use Time::HiRes qw(sleep usleep alarm);
$| = 1;

sub child { my ($work) = @_; my $pid = fork // die; return $pid if $pid; $work->(); POSIX::_exit(0); }

pipe(my $in, my $out);
my $pid = child(sub { close $in; for (1 .. 3) { sleep 0.02; syswrite $out, "piece $_\n"; } POSIX::_exit(5); });
close $out;
print "got $_" while <$in>;
waitpid $pid, 0;
print 'status ', $? >> 8, "\n";

my $server = IO::Socket::INET->new(LocalAddr => $ENV{ADDRESS}, LocalPort => 0, Listen => 5, ReuseAddr => 1) or die $!;
my @clients = map { my $n = $_; child(sub {
    my $c = IO::Socket::INET->new(PeerAddr => $ENV{ADDRESS}, PeerPort => $server->sockport) or die $!;
    sleep 0.02 * $n; print $c "client $n\n"; my $answer = <$c>; POSIX::_exit($answer eq "hello client $n\n" ? $n : 99); }) } 1 .. 3;
my $select = IO::Select->new($server);
my %said;
while (keys %said < 3) {
    for my $ready ($select->can_read(5)) {
        if ($ready == $server) { $select->add(scalar $server->accept); next; }
        my $line = <$ready>;
        $said{$line} = 1; print $ready "hello $line"; $select->remove($ready); close $ready;
    }
}
print sort keys %said;
print join(' ', sort map { waitpid $_, 0; $? >> 8 } @clients), "\n";

socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC);
setsockopt($a, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 0, 30000));
print defined(sysread($a, my $buffer, 10)) ? 'data' : $!{EAGAIN} ? 'EAGAIN' : $!, "\n";
setsockopt($a, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 0, 0));

sigaction(SIGALRM, POSIX::SigAction->new(sub { print "alarm\n" }));
alarm 0.3;
my $n = sysread $a, $buffer, 10;
print defined $n ? 'data' : $!{EINTR} ? 'EINTR' : $!, "\n";
alarm 0.3;
select undef, undef, undef, 5;
print $!{EINTR} ? "select EINTR\n" : "select $!\n";

open my $held, '>', 'lock'; flock $held, LOCK_EX;
$pid = child(sub { close $held; open my $f, '>>', 'lock'; flock $f, LOCK_EX; POSIX::_exit(-s 'lock'); });
sleep 0.05; syswrite $held, 'abc'; close $held; waitpid $pid, 0; print 'lock ', $? >> 8, "\n";

print `sleep 0.02; echo backticks; exit 3`, $? >> 8, "\n";
system 'sleep 0.02; kill -TERM $$'; print 'signal ', $? & 127, "\n";
open my $pipe, '-|', 'sh', '-c', 'for i in 1 2; do sleep 0.02; echo from a pipe $i; done' or die; print while <$pipe>; close $pipe;
open $pipe, '|-', 'sleep 0.02; sort -r' or die; print $pipe "$_\n" for 1 .. 3; close $pipe;
print 'none left ', waitpid(-1, WNOHANG), "\n";
print STDERR "to stderr\n";
exit 6;
