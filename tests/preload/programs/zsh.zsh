zmodload zsh/zselect zsh/net/socket zsh/system
coproc while read -r n; do sleep 0.01; print $((n * n)); done
doubler=$!
for n in 3 5 7; do print -p $n; read -p square; print "$n $square"; done
exec {in}< <(sleep 0.03; print from a process)
zselect -r $in && print ready
read -u $in line; print $line
zselect -t 2; print "late: $?"
zsocket -l listening; server=$REPLY
(zsocket listening; print -u $REPLY 'through a socket'; sleep 0.03; read -u $REPLY answer; print "answer: $answer") &
zsocket -a $server; conversation=$REPLY
read -u $conversation line; print $line; print -u $conversation 'thanks'
wait $!
TRAPALRM() { print alarm; }
(sleep 0.05; kill -ALRM $$; sleep 0.05) & killer=$!
wait $killer; wait $killer; print "after the alarm"
a=(=(sleep 0.02; print file)); print $#a
print -l 3 1 2 > >(sleep 0.02; sort) | cat
sysread -t 0.01 -i $conversation nothing; print "sysread: $?"
sleep 0.02 | (exit 3) | true; print $pipestatus
kill $doubler
exit 4
