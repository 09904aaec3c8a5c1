# waits: rsync
# package: rsync
# Sender, receiver and generator through their pipes; a daemon over the loopback network.
. "$JOBS/common"
mkdir from to; seq 30000 >from/many; mkdir from/sub; echo x >from/sub/x; ln -s many from/soft; head -c 400000 /dev/zero >from/zeros
touch -h -d '2020-01-02 03:04:05' from/* from/sub/x from
rsync -a --out-format='%n %l' from/ to; diff -r from to && echo same
echo more >>from/many; rm from/sub/x; rsync -rlc --delete -i --no-whole-file from/ to; rsync -a --dry-run --stats from/ to | grep 'Number of files:'
port=$(port)
printf 'use chroot = no\nuid = %s\ngid = %s\npid file = %s/pid\nlog file = %s/log\n[module]\npath = %s/from\nread only = no\n' "$(id -u)" "$(id -g)" "$HOME" "$HOME" "$HOME" >rsyncd.conf
serve rsync --daemon --no-detach --config=rsyncd.conf --address="$ADDRESS" --port="$port"
listens "$port"
rsync -a "rsync://$ADDRESS:$port/module/" pulled; diff -r from pulled && echo same
seq 100 >pushed; rsync -t --bwlimit=2000 pushed many "rsync://$ADDRESS:$port/module/" 2>/dev/null || echo "status $?"
cmp pushed from/pushed && echo pushed
rsync "rsync://$ADDRESS:$port/" | cut -f1; rsync "rsync://$ADDRESS:$port/none/" 2>/dev/null || echo "status $?"
rsync -a -z --compress-choice=zlib --timeout=5 "rsync://$ADDRESS:$port/module/zeros" zeros; cmp zeros from/zeros && echo zeros
rsync -a "rsync://$ADDRESS:1/x" . 2>/dev/null || echo "refused: $?"
