# waits: git git-remote-http
# package: git
# Over http: the clever way by git's own backend below a small server, the dumb way from plain files.
. "$JOBS/common"
. "$JOBS/repository"
repository work
git clone -q --bare work served.git; git -C served.git config http.receivepack true
clever=$(port)
serve /usr/bin/python3 "$JOBS/git_server.py" "$ADDRESS" "$clever"
listens "$clever"
git clone -q "http://$ADDRESS:$clever/served.git" one
git -C one log --format='%H %s'
(cd one; commit change 4; commit change 5; git push -q origin main)
git clone -q --depth 1 "http://$ADDRESS:$clever/served.git" shallow; git -C shallow log --format=%s
git ls-remote "http://$ADDRESS:$clever/served.git"
(cd work; git pull -q --ff-only "http://$ADDRESS:$clever/served.git" main; git rev-parse HEAD)
git clone -q "http://$ADDRESS:$clever/none.git" 2>/dev/null || echo "status $?"
git -C served.git update-server-info
dumb=$(port)
serve $without /usr/bin/python3 -m http.server --bind "$ADDRESS" "$dumb" >/dev/null 2>&1
listens "$dumb"
git clone -q "http://$ADDRESS:$dumb/served.git" two
git -C two log --format='%H %s'; git -C two fsck
git clone -q "http://$ADDRESS:1/refused.git" 2>/dev/null || echo "status $?"
