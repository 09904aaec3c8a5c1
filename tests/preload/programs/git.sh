# waits: git
# parks: git read poll
# Over file and over pipes to its own children; hooks, a pager, an editor, a merge, a bundle.
. "$JOBS/repository"
repository work
git clone -q --bare "file://$HOME/work" bare.git
git clone -q "file://$HOME/bare.git" second
cd second; commit change 4; git push -q origin main; cd ..
printf '#!/bin/sh\nsleep 0.05\nwhile read -r old new ref; do echo "hook: $ref $new"; done\n' >bare.git/hooks/pre-receive
chmod +x bare.git/hooks/pre-receive
cd second; commit change 5; git push origin main 2>&1 | sed 's/ *$//'; cd ..
cd work; git pull -q --ff-only "file://$HOME/bare.git" main; git log --format='%H %s'
git checkout -q -b side HEAD~2; commit side 6; git merge -q -m merged main; git log --graph --oneline | cat
GIT_EDITOR='sh -c "sleep 0.05; echo edited >\$1" sh' git commit -q --amend; git log -1 --format=%s
GIT_PAGER='sh -c "sleep 0.05; cat"' git -p log -1 --format=%an
git gc -q; git fsck --full; git bundle create -q all.bundle --all; cd ..
git clone -q work/all.bundle third -b side; git -C third rev-parse HEAD
git -C third -c protocol.file.allow=always submodule --quiet add "file://$HOME/bare.git" sub 2>&1; git -C third status --short
git -C third grep -c . HEAD | sort; git clone -q file:///nowhere gone || echo "status $?"
