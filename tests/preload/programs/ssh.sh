# waits: ssh scp sftp
# package: openssh-server
. "$JOBS/common"
. "$JOBS/sshd"
ssh_server $without
. "$JOBS/ssh_work"
forwarded=$(port)
ssh -F ssh_config -o ExitOnForwardFailure=yes -L "$ADDRESS:$forwarded:$ADDRESS:$ssh_port" server 'touch up; while [ ! -e down ]; do sleep 0.01; done' </dev/null &
listens "$forwarded"
ssh -F ssh_config -p "$forwarded" server 'echo through the tunnel' </dev/null; ssh -F ssh_config -p "$forwarded" server "touch $HOME/ended" </dev/null
kill $!; wait $! || true
ssh -F ssh_config -p 1 server true </dev/null 2>/dev/null || echo "refused: $?"
ssh -F ssh_config -J server server echo jumped </dev/null || echo "jump: $?"
