#!/usr/bin/python3
"""Both ways at once: what comes is printed while stdin is waited for, and the other way round."""
import re
import socket
import subprocess

from harness import check, run, start, threads


class party:
    def __init__(self, *options):
        self.process = start("udp_chat", *options, preload=False, stdin=subprocess.PIPE, bufsize=1)
        line = self.hears()
        found = re.fullmatch(r"listening on (127\.0\.0\.1|\[::1\]):(\d+)", line)
        check(found, f"said {line!r} instead of where it listens")
        self.port = int(found[2])

    def hears(self):
        return self.process.stdout.readline().rstrip("\n")

    def says(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def ends(self):
        check(threads(self.process.pid) == 1, "more than one thread")
        out, err = self.process.communicate()
        check((self.process.returncode, out, err) == (0, "", ""), f"{self.process.returncode}, {out!r}, {err!r}")


# By default two parties talk; what each hears is in order.
status, out, err = run("udp_chat", preload=False)
lines = out.splitlines()
check((status, err, len(lines)) == (0, "", 6), f"{status}, {out!r}, {err!r}")
for one, other in ("ann", "bob"), ("bob", "ann"):
    heard = [line for line in lines if line.startswith(one)]
    check(heard == [f"{one} hears {other}: {number}" for number in (1, 2, 3)], f"{one}: {heard}")

# One that answers whoever wrote last, and one that was told whom to write to. Neither waits for its own stdin.
bob = party("--name", "bob")
ann = party("--name", "ann", "--to", f"127.0.0.1:{bob.port}")
ann.says("hello\n")
check(bob.hears() == "ann: hello", "bob did not hear ann")
bob.says("hello ann\nhow are you\n")
check([ann.hears(), ann.hears()] == ["bob: hello ann", "bob: how are you"], "ann did not hear bob")
ann.says("in two ")
bob.says("meanwhile\n")
check(ann.hears() == "bob: meanwhile", "half a line keeps ann from hearing")
ann.says("pieces\n")
check(bob.hears() == "ann: in two pieces", "bob did not hear both pieces")

# What cannot be printed is not, and what is too long is cut.
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
    stranger.sendto(b"\x1b[2J\nx", ("127.0.0.1", ann.port))
    check(ann.hears() == "?[2J?x", "control characters came through")
    stranger.sendto(b"y" * 2000, ("127.0.0.1", ann.port))
    check(ann.hears() == "y" * 1200 + "…", "not cut")
ann.says("the last, without an end")
ann.ends()
check(bob.hears() == "ann: the last, without an end", "the last line was lost")
bob.ends()

# A name is looked up, and stdin may be a file.
carl = party("--name", "carl")
with open("/etc/hostname") as lines:
    expected = lines.readline().rstrip("\n")
    lines.seek(0)
    status, out, err = run("udp_chat", "--name", "dora", "--to", f"localhost:{carl.port}", preload=False, stdin=lines)
check((status, err) == (0, ""), f"from a file: {status}, {out!r}, {err!r}")
check(carl.hears() == f"dora: {expected}", "carl did not hear dora")
carl.ends()

# Nobody there: neither to write to, nor at the other end.
alone = start("udp_chat", "--name", "eve", preload=False, stdin=subprocess.PIPE)
out, err = alone.communicate("anyone?\n")
check((alone.returncode, err) == (0, "udp_chat: nobody has written yet\n"), f"{alone.returncode}, {err!r}")

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    status, out, err = run("udp_chat", "--port", port, preload=False)
    check((status, out) == (1, "") and f"receive at 127.0.0.1:{port}: Address already in use" in err, f"{status}, {err!r}")

status, out, err = run("udp_chat", "--to", "nobody", preload=False)
check((status, out) == (1, "") and '"nobody", there is no port' in err, f"{status}, {err!r}")
status, out, err = run("udp_chat", "--to", "localhost:no-such-service", preload=False)
check((status, out) == (1, "") and "look up localhost, service no-such-service: " in err, f"{status}, {err!r}")

with open("/dev/full", "w") as full:
    for options in [], ["--port", "0"]:
        status, _, err = run("udp_chat", *options, preload=False, stdout=full)
        check(status == 1 and err == "udp_chat: write to stdout failed\n", f"/dev/full: {status}, {err!r}")
