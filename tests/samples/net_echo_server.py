#!/usr/bin/python3
"""net_echo_server on one thread, on several, and in processes: it echoes, SIGHUP loses no connection, SIGTERM lets who is
connected finish, and a second one does not."""
import os
import signal
import socket
import threading

from harness import check, run, server, start, threads


def connect(port):
    return socket.create_connection(("127.0.0.1", port))


def echoes(one, text=b"hello"):
    one.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = one.recv(len(text))
        if not piece:
            return False
        got += piece
    return got == text


def refused(port):
    try:
        connect(port).close()
        return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was about to be
        return False


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as them:
        return set(map(int, them.read().split()))


class crowd:
    """Clients that connect all the time."""

    def __init__(self, port):
        self.port, self.over, self.count, self.wrong = port, False, 0, []
        self.more = threading.Condition()
        self.all = [threading.Thread(target=self.work) for _ in range(3)]
        for each in self.all:
            each.start()

    def work(self):
        while not self.over:
            try:
                with connect(self.port) as one:
                    if not echoes(one):
                        self.wrong.append("an echo ended early")
            except OSError as error:
                self.wrong.append(str(error))
            with self.more:
                self.count += 1
                self.more.notify_all()

    def wait_for(self, more):
        with self.more:
            wanted = self.count + more
            self.more.wait_for(lambda: self.count >= wanted)

    def end(self):
        self.over = True
        for each in self.all:
            each.join()
        check(not self.wrong, f"connections were lost: {self.wrong[:3]}")


for arguments in [(), ("--threads", "3"), ("--processes", "2")]:
    with server("net_echo_server", *arguments) as echo:
        with connect(echo.port) as one, connect(echo.port) as other:
            check(echoes(one) and echoes(other) and echoes(one), f"{arguments}: no echo")
        if "--threads" in arguments:
            check(threads(echo.pid) == 4, f"{threads(echo.pid)} threads instead of three and one that looks after them")
        if "--processes" in arguments:
            check(len(children(echo.pid)) == 2, f"{children(echo.pid)} are not two processes")
        if not arguments:
            continue
        clients = crowd(echo.port)
        for _ in range(3):
            before = children(echo.pid)
            os.kill(echo.pid, signal.SIGHUP)
            clients.wait_for(50)
            while before and children(echo.pid) & before:
                clients.wait_for(1)
        clients.end()

for arguments in [(), ("--threads", "2"), ("--processes", "2")]:
    for impatient in [False, True]:
        process = start("net_echo_server", "--port", "0", *arguments, preload=False)
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        with connect(port) as one:
            check(echoes(one), "no echo")
            process.send_signal(signal.SIGTERM)
            while not refused(port):
                pass
            check(echoes(one), f"{arguments}: who was connected could not finish")
            if impatient:
                process.send_signal(signal.SIGTERM)
                check(one.recv(1) == b"", f"{arguments}: a second signal did not end it")
        out, err = process.communicate()
        check(process.returncode == 0 and (out, err) == ("", ""), f"{arguments}: {process.returncode} {out!r} {err!r}")

with server("net_echo_server", "--max", "1") as echo:
    with connect(echo.port) as first, connect(echo.port) as second:
        check(echoes(first), "no echo")
        second.sendall(b"x")
        check(echoes(first), "no echo")
        second.setblocking(False)
        try:
            check(second.recv(1) is None, "two at a time")
        except BlockingIOError:
            pass
        second.setblocking(True)
        first.close()
        check(second.recv(1) == b"x", "the next one is not served")

    status, _, error = run("net_echo_server", "--port", str(echo.port), preload=False)
    check(status == 1 and "Address already in use" in error, f"port in use: {status} {error!r}")
for wrong in [("--port", "x"), ("--threads", "-1"), ("--threads", "2", "--processes", "2"), ("--nothing",)]:
    status, _, error = run("net_echo_server", *wrong, preload=False)
    check(status == 2 and error, f"{wrong}: {status} {error!r}")
with open("/dev/full", "w") as full:
    for arguments in [(), ("--threads", "2")]:
        status, _, error = run("net_echo_server", "--port", "0", *arguments, preload=False, stdout=full)
        check(status == 1 and "No space left" in error, f"{arguments} on /dev/full: {status} {error!r}")
