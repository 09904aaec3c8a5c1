# waits: rsync ssh
# package: rsync openssh-server
. "$JOBS/common"
. "$JOBS/sshd"
ssh_server $without
mkdir from; seq 30000 >from/many; head -c 300000 /dev/zero >from/zeros; touch -d '2020-01-02 03:04:05' from/* from
rsync -a -e "ssh -F $HOME/ssh_config" from/ "server:$HOME/to"; diff -r from to && echo same
echo more >>from/many; rsync -azci --no-whole-file -e "ssh -F $HOME/ssh_config" from/ "server:$HOME/to"; diff -r from to && echo same
rsync -a -e "ssh -F $HOME/ssh_config" "server:$HOME/none" . 2>/dev/null || echo "status $?"
