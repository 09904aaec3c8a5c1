const { execFile, execSync, fork, spawn, spawnSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const dns = require('dns').promises;
const fs = require('fs');
const http = require('http');
const net = require('net');
const { pipeline } = require('stream/promises');
const { setTimeout: sleep } = require('timers/promises');
const zlib = require('zlib');
const { once } = require('events');
const { promisify } = require('util');

if (!isMainThread) {
    parentPort.once('message', async (n) => { await sleep(10); parentPort.postMessage(n * n); });
} else if (process.argv[2] === 'child') {
    process.on('message', (m) => { process.send(m + ' back'); process.disconnect(); });
} else (async () => {
    const address = process.env.ADDRESS;
    console.log(await Promise.all([30, 10, 20].map((n) => sleep(n, n))));

    const server = net.createServer((c) => c.on('data', async (d) => { await sleep(10); c.write(d.toString().toUpperCase()); }).on('end', () => setTimeout(() => c.end(), 30)));
    server.listen(0, address);
    server.on('connection', (c) => { c.allowHalfOpen = true; });
    await once(server, 'listening');
    const said = await Promise.all([1, 2, 3].map(async (n) => {
        const c = net.connect(server.address().port, address);
        c.write(`hello ${n}`);
        const [d] = await once(c, 'data');
        c.end();
        await once(c, 'close');
        return d.toString();
    }));
    console.log(said);
    server.close();

    const web = http.createServer(async (q, a) => { await sleep(20); a.setHeader('x-path', q.url); q.pipe(a); }).listen(0, address);
    await once(web, 'listening');
    const request = http.request({ host: address, port: web.address().port, method: 'POST', path: '/p', agent: false });
    request.end('body '.repeat(50000));
    const [answer] = await once(request, 'response');
    let length = 0;
    for await (const piece of answer) length += piece.length;
    console.log(answer.statusCode, answer.headers['x-path'], length);
    web.close();

    console.log(await promisify(execFile)('sh', ['-c', 'sleep 0.02; echo out; echo err >&2']));
    const sorting = spawn('sort');
    const ended = once(sorting, 'close');
    sorting.stdin.end('c\na\nb\n');
    let sorted = '';
    for await (const piece of sorting.stdout) sorted += piece;
    console.log(JSON.stringify(sorted), await ended);
    console.log(spawnSync('sh', ['-c', 'sleep 0.02; exit 3']).status, execSync('sleep 0.02; echo sync').toString());
    const killed = spawn('sleep', ['5']);
    killed.kill();
    console.log(await once(killed, 'exit'));
    const child = fork(__filename, ['child']);
    child.send('message');
    console.log((await once(child, 'message'))[0], (await once(child, 'exit'))[0]);
    const workers = [2, 3].map((n) => { const w = new Worker(__filename); w.postMessage(n); return once(w, 'message'); });
    console.log((await Promise.all(workers)).flat());

    fs.writeFileSync('many', Array.from({ length: 50000 }, (_, n) => `${n}\n`).join(''));
    await pipeline(fs.createReadStream('many'), zlib.createGzip(), zlib.createGunzip(), fs.createWriteStream('copy'));
    console.log(fs.readFileSync('copy').equals(await fs.promises.readFile('many')), (await fs.promises.readdir('.')).sort());
    console.log((await dns.lookup('localhost', 4)).address);
    net.connect(1, address).on('error', (e) => {
        console.log(e.code);
        console.error('to stderr');
        process.on('SIGUSR2', () => { console.log('signal'); process.exit(6); });
        process.kill(process.pid, 'SIGUSR2');
        setTimeout(() => {}, 5000);
    });
})();
