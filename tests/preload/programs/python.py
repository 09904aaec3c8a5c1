import asyncio
import concurrent.futures
import fcntl
import multiprocessing
import os
import pty
import queue
import select
import signal
import socket
import subprocess
import threading
import time

address = os.environ['ADDRESS']

# Threads that hand to each other, and a pool of processes.
there, back = queue.Queue(1), queue.Queue(1)
worker = threading.Thread(target=lambda: [(time.sleep(0.002), back.put(there.get() ** 2)) for _ in range(20)])
worker.start()
print([(there.put(n), back.get())[1] for n in range(20)])
worker.join()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sorted(pool.map(lambda n: time.sleep(0.01) or n * n, range(8))))


def cube(n):
    time.sleep(0.005)
    return n ** 3


with multiprocessing.get_context('fork').Pool(2) as pool:
    print(pool.map(cube, range(6)))

# Sockets: a threaded server, time limits, datagrams, a connection that is refused.
server = socket.create_server((address, 0))


def answer():
    for _ in range(3):
        connection, _ = server.accept()
        with connection, connection.makefile('rwb') as stream:
            for line in stream:
                time.sleep(0.01)
                stream.write(line.upper())
                stream.flush()


answering = threading.Thread(target=answer)
answering.start()
for n in range(3):
    with socket.create_connection(server.getsockname()) as client:
        client.sendall(b'first %d\nsecond\n' % n)
        client.shutdown(socket.SHUT_WR)
        print(b''.join(iter(lambda: client.recv(100), b'')))
answering.join()
one, two = socket.socketpair()
one.settimeout(0.02)
try:
    one.recv(1)
except TimeoutError as error:
    print(error)
print(select.select([one], [two], [], 0.02)[1] == [two])
poll = select.epoll()
poll.register(one, select.EPOLLIN)
threading.Timer(0.03, two.send, [b'x']).start()
print([event for _, event in poll.poll(5)], one.recv(5))

# Children, terminals, locks, signals.
print(subprocess.run(['sh', '-c', 'sleep 0.02; echo out; echo err >&2; exit 5'], capture_output=True))
try:
    subprocess.run(['sleep', '5'], timeout=0.03)
except subprocess.TimeoutExpired as error:
    print(type(error).__name__)
pid, terminal = pty.fork()
if pid == 0:
    os.execlp('sh', 'sh', '-c', 'stty -echo; echo ready; read x; sleep 0.02; echo "got $x"')
said = b''
while b'ready' not in said:
    said += os.read(terminal, 100)
os.write(terminal, b'typed\n')
try:
    while True:
        said += os.read(terminal, 100)
except OSError as error:
    print(said, error)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
with open('lock', 'w') as held:
    fcntl.lockf(held, fcntl.LOCK_EX)
    if not (child := os.fork()):
        with open('lock', 'w') as wanted:
            fcntl.lockf(wanted, fcntl.LOCK_EX)
            os._exit(4)
    time.sleep(0.03)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.signal(signal.SIGALRM, lambda *_: print('alarm'))
signal.setitimer(signal.ITIMER_REAL, 0.3)
signal.pause()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Timer(0.02, os.kill, [os.getpid(), signal.SIGUSR1]).start()
print(signal.sigtimedwait([signal.SIGUSR1], 5).si_signo == signal.SIGUSR1, signal.sigtimedwait([signal.SIGUSR1], 0.01))


async def conversation():
    async def serve(reader, writer):
        while line := await reader.readline():
            await asyncio.sleep(0.01)
            writer.write(line[::-1])
        writer.close()

    path = os.path.join(os.environ['HOME'], 'socket')
    async with await asyncio.start_unix_server(serve, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'abc\ndef')
        writer.write_eof()
        print(await reader.read())
    process = await asyncio.create_subprocess_exec('sh', '-c', 'sleep 0.02; echo from a child; exit 3', stdout=-1)
    print(await process.communicate(), process.returncode)
    print(await asyncio.to_thread(cube, 3))


asyncio.run(conversation())
raise SystemExit(6)
