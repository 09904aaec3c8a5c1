"""What the tests of the samples share: how programs are started, watched and ended.

meson tells in the environment where things are: COIR_SAMPLES, the directory of the built samples, COIR_SHIM, the path of
libcoir-monkey.so, and COIR_COUNTING and COIR_TICKING, those of libcoir-stats.so and libticking.so. Every test has its own
servers on ports that the kernel chose, and its own directory; both are gone when it ends. Waits are for an event; a test that
waits for one that never comes is ended by meson's time limit.
"""
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import pathlib
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import termios

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from parked_calls import parked_calls

samples = pathlib.Path(os.environ["COIR_SAMPLES"])
shim = os.environ["COIR_SHIM"]


def check(condition, what):
    """Ends the test with `what` unless `condition` holds. Unlike assert it cannot be switched off."""
    if not condition:
        raise SystemExit(f"{sys.argv[0]}: {what}")


def environment(preload):
    chosen = dict(os.environ, no_proxy="*")  # a proxy of the machine knows nothing of our loopback
    chosen.pop("LD_PRELOAD", None)
    if preload:
        chosen["LD_PRELOAD"] = shim
        # AddressSanitizer refuses to start behind a preloaded library, unless told that it was meant.
        chosen["ASAN_OPTIONS"] = ":".join(filter(None, [chosen.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
    return chosen


def preloaded(*libraries, **more):
    """A prefix for a program that is not to be run by start(): puts `libraries` under it."""
    chosen = dict(LD_PRELOAD=":".join(libraries), ASAN_OPTIONS=environment(True)["ASAN_OPTIONS"]) | more
    return ["env", *(f"{name}={value}" for name, value in chosen.items())]


class counted:
    """A `prefix` for one program that ends by exit: its main code is a fiber, its calls are counted, and, if `ticking`, another
    fiber ticks beside it (tests/fidelity/ticking.cpp). What it tells afterwards is in the directory `place`."""

    def __init__(self, place, ticking=True):
        self.counts, self.log = place / "counts", place / "ticks"
        more = dict(COIR_STATS=self.counts, TICKING_LOG=self.log)
        if ticking:  # it ticks to the end: LeakSanitizer does not see that what it has is still in use
            more["ASAN_OPTIONS"] = environment(True)["ASAN_OPTIONS"] + ":detect_leaks=0"
        self.prefix = preloaded(shim, os.environ["COIR_COUNTING"], *([os.environ["COIR_TICKING"]] if ticking else []), **more)

    def parked(self, call):
        """How often it had to wait in that call, and let others run meanwhile."""
        return sum(calls[call] for calls in parked_calls(self.counts).values())

    def ticks(self):
        """How often the other fiber ticked, which it can only while the main code lets it run."""
        return sum(int(line.split()[1]) for line in self.log.read_text().splitlines())


class server:
    """A sample that prints "listening on 127.0.0.1:PORT" and runs until the `with` block is left."""

    def __init__(self, *arguments, prefix=()):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*prefix, samples / arguments[0], "--port", "0", *arguments[1:]], text=True,
                                        stdout=subprocess.PIPE, stderr=self.errors, env=environment(False))
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        check(found, f"{arguments[0]} said {line!r} instead of where it listens")
        self.port = int(found[1])
        self.name = arguments[0]

    def __enter__(self):
        return self

    def __exit__(self, error_type, *_):
        ended = self.process.poll()
        if ended is None:
            self.process.terminate()
            self.process.wait()
        sys.stderr.write(self.stderr())
        if error_type is None:
            check(ended is None, f"{self.name} ended during the test, status {ended}")

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        """All it has written there so far."""
        self.errors.seek(0)
        return self.errors.read()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descriptors_at_rest(self):
        """How many an echo server has open when nobody is connected: its hub's, made on first use, among them."""
        with socket.create_connection(("127.0.0.1", self.port)) as first:
            first.send(b"x")
            check(first.recv(1) == b"x", f"{self.name} does not echo")
            return self.descriptors() - 1

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"


def get(port, path):
    """Status, headers and body, as another HTTP implementation than the tested ones sees them."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with contextlib.closing(connection):
        connection.request("GET", "/" + path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def stats(origin):
    """What origin counted: requests served, how many are in flight, and the most that ever were."""
    status, _, body = get(origin.port, "stats")
    check(status == 200, f"/stats: {status}")
    return json.loads(body)


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix="coir-samples-") as name:
        yield pathlib.Path(name)


def start(program, *arguments, preload=True, prefix=(), **more):
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([*prefix, samples / program, *map(str, arguments)], env=environment(preload), text=True, **more)


def run(program, *arguments, **more):
    """Exit status, what it wrote to stdout, and to stderr."""
    process = start(program, *arguments, **more)
    out, err = process.communicate()
    return process.returncode, out, err


@contextlib.contextmanager
def refusing_port():
    """A port at which connections are refused: bound, but nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def skip(why):
    print(why)
    raise SystemExit(77)  # meson's word for it


def screen_of(rows, program, *arguments, **more):
    """All that a program writes to a terminal with so many rows, and its exit status."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        skip(f"there are no terminals here, as in a chroot without /dev/pts: {error}")
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    process = start(program, *arguments, stdout=slave, stderr=slave, **more)
    os.close(slave)
    written = b""
    try:
        while piece := os.read(master, 65536):
            written += piece
    except OSError:  # EIO: the last one who had the terminal open has closed it
        pass
    os.close(master)
    return written.decode(), process.wait()


def remains(written):
    """The lines that are left on the screen: "up N, erase below" takes N lines away."""
    lines = []
    for piece in re.split(r"(\033\[\d+A\033\[J)", written):
        if erased := re.fullmatch(r"\033\[(\d+)A\033\[J", piece):
            check(len(lines) >= int(erased[1]), "more lines were erased than drawn")
            del lines[len(lines) - int(erased[1]):]
        else:
            lines += re.sub(r"\033\[\?7[lh]", "", piece).split("\r\n")[:-1]
    return lines


def threads(pid):
    """How many kernel threads a process has; None once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = re.search(r"^Threads:\s+(\d+)$", status, re.M)
    return int(found[1]) if found else None


def sleeps(pid):
    """How often a process has given the processor away of itself, in its first thread; none once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status, re.M)[1])


def expected(origin, path):
    """The right content of a file, checked against the checksum that origin sends with it."""
    status, headers, body = get(origin.port, path + ("&" if "?" in path else "?") + "delay=0")
    check(status == 200, f"/{path}: {status}")
    check(hashlib.sha256(body).hexdigest() == headers["X-Checksum"], f"/{path}: origin's own checksum does not fit its content")
    return body
