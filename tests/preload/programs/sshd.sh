# waits: sshd ssh
# package: openssh-server
# The server, and all that it starts, as well.
. "$JOBS/common"
. "$JOBS/sshd"
ssh_server
. "$JOBS/ssh_work"
