# waits: systemd-analyze
# package: systemd
# It waits for its pager, and for what it starts.
printf '[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\nNonsense=1\n' >x.service
systemd-analyze verify --man=no ./x.service 2>&1 | grep -v '^/usr\|^/lib' || true
systemd-analyze calendar --base-time='2020-01-01 00:00:00 UTC' --iterations=3 'Mon *-*-1 12:00:00' | grep -v 'From now'
systemd-analyze timespan '2h 30s'; systemd-analyze compare-versions 2 lt 10 && echo less
echo 'sleep 0.05; sha256sum' >pager
script -qec "SYSTEMD_COLORS=0 SYSTEMD_PAGER='sh pager' systemd-analyze syscall-filter @basic-io" /dev/null | tr -d '\r'
systemd-analyze cat-config --root="$HOME" systemd/none.conf 2>&1 || echo "status $?"
systemd-analyze exit-status 3 SUCCESS; systemd-analyze blame 2>/dev/null || echo "not running: $?"
systemd-analyze security --offline=true ./x.service 2>/dev/null | head -n 3
(sleep 0.02; cat x.service) | systemd-analyze condition 'ConditionPathExists=/nowhere' 2>&1 || echo "condition: $?"
