# waits: xz zstd bzip2 lz4
# package: xz-utils zstd bzip2 lz4
seq 200000 >many
for program in 'xz -T2 --block-size=200000' 'zstd -q -T2 -10' 'bzip2' 'lz4 -q'; do
    (head -c 500000 many; sleep 0.05; tail -c +500001 many) | $program -c >packed
    case $program in zstd* | xz*) ;; *) sha256sum packed ;; esac
    (head -c 1000 packed; sleep 0.05; tail -c +1001 packed) | ${program%% *} -d -c | sha256sum
    head -c 10000 packed | (sleep 0.02; cat) | ${program%% *} -d -c >/dev/null 2>&1 || echo "${program%% *}: status $?"
    $program -c many | (sleep 0.05; cat) | wc -c
done
xz -T2 -k many; xz -l --robot many.xz | head -n 1 | cut -f1; xzgrep -c 77 many.xz; bzip2 -k many; bzcat many.bz2 | tail -n 1
