# waits: tar gzip
# Compressors in a pipe, an archive that comes slowly, a receiver that is slow.
mkdir tree tree/sub; seq 20000 >tree/many; echo short >tree/sub/short; ln tree/many tree/hard; ln -s many tree/soft
touch -h -d '2020-01-02 03:04:05' tree/* tree/sub/* tree/sub tree
tar --sort=name --owner=0 --group=0 --numeric-owner -cf plain.tar tree
tar --sort=name --owner=0 --group=0 --numeric-owner -I 'gzip -n' -cf packed.tgz tree
sha256sum plain.tar packed.tgz | cut -c1-64
mkdir out; (head -c 3000 packed.tgz; sleep 0.05; tail -c +3001 packed.tgz) | tar xzf - -C out
diff -r tree out/tree && echo same
tar cf - tree | (sleep 0.05; tar tvf - --full-time) | sed 's/\.0* / /'
tar xzf packed.tgz --to-command='sleep 0.01; wc -c'
tar --checkpoint=10 --checkpoint-action=exec='sleep 0.01; echo at $TAR_CHECKPOINT' -cf /dev/null tree
head -c 4000 packed.tgz | tar tzf - || echo "status $?"
(sleep 0.05; cat packed.tgz) | gzip -d | sha256sum
gzip -t plain.tar || echo "status $?"
