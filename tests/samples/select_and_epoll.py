#!/usr/bin/python3
"""The servers of select and of epoll serve many at once, without the shim, under it, and as a fiber beside another one."""
import resource
import socket
import struct

from harness import check, counted, directory, preloaded, run, server, shim, sleeps

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connect(echo):
    return socket.create_connection(("127.0.0.1", echo.port))


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def send_what_fits(peer, data, at):
    """Sends of `data` from `at` on, until the server does not take any more; how far that was."""
    peer.setblocking(False)
    full = 0
    while full < 100:
        try:
            at += peer.send(data[at:at + 65536])
            full = 0
        except BlockingIOError:
            full += 1
    peer.setblocking(True)
    return at


def at_rest_again(echo, at_rest):
    while echo.descriptors() != at_rest:
        check(echo.process.poll() is None, f"{echo.name} has ended")


def asleep(echo, times):
    """Until it has been so several times more: a program that spins never is."""
    wanted = sleeps(echo.pid) + times
    while sleeps(echo.pid) < wanted:
        check(echo.process.poll() is None, f"{echo.name} has ended")


def many(echo, connections):
    at_rest = echo.descriptors_at_rest()
    for options in (["--connections", connections], ["--connections", 20, "--size", 65536]):
        status, out, err = run("echo_client", "--port", echo.port, *options)
        check((status, err) == (0, ""), f"{echo.name} {options}: {status}, {err!r}")
        check(out.startswith(f"{options[1]} connections, {10 * options[1]} messages, "), out)
    at_rest_again(echo, at_rest)


def beside_broken_ones(echo):
    """One who does not read gets all in the end; nobody disturbs the others."""
    at_rest = echo.descriptors_at_rest()
    silent, greedy = connect(echo), connect(echo)
    data = bytes(range(256)) * (100 << 12)
    sent = send_what_fits(greedy, data, 0)
    check(sent < len(data), "a server that holds a hundred MiB for one who does not read")
    for _ in range(20):
        gone = connect(echo)
        gone.send(bytes(100_000))
        reset(gone)
        reset(connect(echo))
    status, out, err = run("echo_client", "--port", echo.port, "--connections", 50)
    check(status == 0, f"{echo.name} beside broken peers: {status}, {err!r}")
    greedy.shutdown(socket.SHUT_WR)
    back = bytearray()
    while more := greedy.recv(1 << 20):
        back += more
    check(back == data[:sent], f"{echo.name}: of {sent} bytes {len(back)} came back")
    greedy.close()
    silent.close()
    at_rest_again(echo, at_rest)


def few_descriptors(name, prefix):
    with server(name, prefix=["prlimit", "--nofile=64:64", *prefix]) as echo:
        at_rest = echo.descriptors_at_rest()
        waiting = [connect(echo) for _ in range(100)]
        for each in waiting:
            each.send(b"x")
        check(waiting[0].recv(1) == b"x", "the first was not served")
        while echo.stderr() == "":
            check(echo.process.poll() is None, f"{name} has ended")
        asleep(echo, 3)  # though there are some to accept
        for each in waiting[:-1]:
            each.close()
        check(waiting[-1].recv(1) == b"x", "who had to wait was not served")
        waiting[-1].close()
        status, out, err = run("echo_client", "--port", echo.port, "--connections", 200)
        check((status, err) == (0, ""), f"{name}, 64 descriptors: {status}, {err!r}")
        said = echo.stderr().splitlines()
        check(len(said) == 1 and "Too many open files" in said[0] and "is 64)" in said[0], f"{name} said {said}")
        at_rest_again(echo, at_rest)


def beyond_select(prefix):
    """select_echo has place for descriptors below 1024; who would get another one is sent away."""
    if most < 1200:
        return
    with server("select_echo", prefix=["prlimit", "--nofile=1200", *prefix]) as echo:
        at_rest = echo.descriptors_at_rest()
        peers = [connect(echo) for _ in range(1100)]
        served = 0
        for each in peers:
            try:
                each.send(b"y")
                served += each.recv(1) == b"y"
            except (BrokenPipeError, ConnectionResetError):
                pass  # sent away
        check(1024 - at_rest <= served < 1024, f"{served} were served, {at_rest} descriptors are open at rest")
        said = echo.stderr().splitlines()
        check(len(said) == 1 and "no descriptors above 1023" in said[0], f"select_echo said {said}")
        for each in peers:
            each.close()
        at_rest_again(echo, at_rest)


for name, connections, waits in ("select_echo", 500, "select"), ("epoll_echo", min(2000, most - 100), "epoll_wait"):
    for how in "without the shim", "under it", "beside a ticking fiber":
        with directory() as place:
            beside = counted(place)
            prefix = {"without the shim": [], "under it": preloaded(shim)}.get(how, beside.prefix)
            with server(name, prefix=prefix) as echo:
                many(echo, connections)
                beside_broken_ones(echo)
                if how == "beside a ticking fiber":
                    asleep(echo, 5)  # nobody is connected: only the other fiber wakes it
            check((echo.process.returncode, echo.stderr()) == (0, ""), f"{name} {how}: {echo.process.returncode}, {echo.stderr()!r}")
            if how == "beside a ticking fiber":
                check(beside.ticks() > 0, f"{name}: it did not tick")
                check(beside.parked(waits) > 0, f"{name}: {waits} let nobody run")
            few_descriptors(name, prefix)
            if name == "select_echo":
                beyond_select(prefix)

    with server(name) as echo:
        status, out, err = run(name, "--port", echo.port, preload=False)
        check((status, out, err) == (1, "", f"{name}: listen on 127.0.0.1:{echo.port}: Address already in use\n"), f"{status}, {err!r}")
    with open("/dev/full", "w") as full:
        status, _, err = run(name, "--port", 0, preload=False, stdout=full)
        check((status, err) == (1, f"{name}: write to stdout: No space left on device\n"), f"{name}, /dev/full: {status}, {err!r}")
