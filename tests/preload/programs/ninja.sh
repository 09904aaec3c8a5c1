# waits: ninja
# Several commands at once, their output through pipes, a failing one.
cat >build.ninja <<'END'
rule slow
  command = sleep 0.0$n && echo made $out && echo $out >$out
rule join
  command = cat $in >$out && cat $out
build a: slow
  n = 5
build b: slow
  n = 1
build c: join a b
rule fails
  command = echo complains >&2; exit 3
build bad: fails c
END
ninja -j1 c
ninja -j3 c
ninja -t clean
ninja -j4 c >/dev/null; cat c
ninja -j2 bad || echo "status $?"
ninja -d stats -n bad >/dev/null; ninja -t graph c | grep -c label
