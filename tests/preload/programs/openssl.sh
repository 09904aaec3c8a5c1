# waits: openssl
# package: openssl
. "$JOBS/common"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 3000 -subj /CN=name.invalid 2>/dev/null
port=$(port)
seq 30000 >many; mkfifo input
serve openssl s_server -accept "$ADDRESS:$port" -cert cert -key key -WWW -quiet 2>server.log
listens "$port"
for file in many none; do
    (printf 'GET /%s HTTP/1.0\r\n\r\n' $file; sleep 0.1) | openssl s_client -connect "$ADDRESS:$port" -CAfile cert -verify_return_error -quiet -ign_eof 2>/dev/null | tr -d '\r' >got || true
    head -n 1 got; [ $file = none ] || sha256sum <got
done
curl -sS --cacert cert --resolve "name.invalid:$port:$ADDRESS" "https://name.invalid:$port/many" | sha256sum
curl -sS --resolve "name.invalid:$port:$ADDRESS" "https://name.invalid:$port/many" 2>/dev/null || echo "not trusted: $?"
other=$(port)
openssl s_server -accept "$ADDRESS:$other" -cert cert -key key -quiet -naccept 1 <input >received &
exec 3>input; listens "$other"
(echo 'from the client'; sleep 0.1) | openssl s_client -connect "$ADDRESS:$other" -quiet -no_ign_eof 2>/dev/null >/dev/null || true
exec 3>&-; wait $!; cat received
(sleep 0.03; cat many) | openssl dgst -sha256; (sleep 0.03; cat many) | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null | openssl enc -d -aes-128-ctr -K 00 -iv 00 2>/dev/null | sha256sum
echo | openssl s_client -connect "$ADDRESS:1" >/dev/null 2>&1 || echo "refused: $?"
