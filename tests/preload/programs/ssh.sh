# waits: ssh scp sftp sftp-server
# package: openssh-server
. "$JOBS/common"
. "$JOBS/sshd"
ssh_server $without
. "$JOBS/ssh_work"
forwarded=$(port); mkfifo tunnel
ssh -F ssh_config -o ExitOnForwardFailure=yes -L "$ADDRESS:$forwarded:$ADDRESS:$ssh_port" server 'cat >/dev/null' <tunnel & exec 3>tunnel
listens "$forwarded"
ssh -F ssh_config -p "$forwarded" server 'echo through the tunnel' </dev/null;
exec 3>&-; wait $!; echo "tunnel: $?"
ssh -F ssh_config -p 1 server true </dev/null 2>/dev/null || echo "refused: $?"
ssh -F ssh_config -J server server echo jumped </dev/null || echo "jump: $?"
