# waits: gpg gpg-agent
# package: gpg gpg-agent
# It starts its agent, and asks that for what needs the secret key.
export GNUPGHOME="$HOME/g"; mkdir -m 700 g; echo "s2k-count 65536" >g/gpg-agent.conf
trap 'gpgconf --kill all; while [ -S g/S.gpg-agent ]; do sleep 0.01; done' EXIT
gpg="gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase secret --trust-model always"
$gpg --quick-gen-key a@example.org ed25519 default never 2>/dev/null
$gpg --quick-add-key "$(gpg --list-keys --with-colons | awk -F: '$1 == "fpr" { print $10; exit }')" cv25519 encr never
gpg --batch --list-keys --with-colons 2>/dev/null | cut -d: -f1 | tr '\n' ' '; echo
seq 20000 >many
(sleep 0.03; cat many) | $gpg --sign | (sleep 0.03; cat) | $gpg --decrypt 2>/dev/null | sha256sum
$gpg --encrypt -r a@example.org <many | $gpg --decrypt 2>/dev/null | sha256sum
$gpg --detach-sign many; echo more >>many; gpg --batch --quiet --verify many.sig many 2>&1 | grep -c 'BAD signature'
(sleep 0.02; cat many) | gpg --batch --print-md sha256
$gpg --symmetric --s2k-count 65536 <many | gpg --batch --quiet --pinentry-mode loopback --passphrase wrong --decrypt 2>/dev/null || echo "status $?"
gpg-connect-agent 'getinfo version' /bye | tail -n 1
