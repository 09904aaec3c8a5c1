#!/usr/bin/python3
"""A copy is like what it was made of, whatever is in the folder; what cannot be copied is named, and the rest is there."""
import os
import pathlib
import re
import resource
import signal
import socket
import stat
import tempfile

from harness import check, counted, directory, remains, run, screen_of

# Root may read and write anything, unless it has given up its capabilities.
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def tell(files=0, folders=1, links=0, size=0, unchanged=0, skipped=0, failed=0):
    """The last line."""
    return f"{files} files, {folders} folders, {links} links, {size} bytes; {unchanged} unchanged, {skipped} skipped, {failed} failed"


def copy(place, *options, to="to", **more):
    """Status, lines of stdout, sorted, its last line, and lines of stderr, sorted."""
    status, out, err = run("copy_folder", place / "from", place / to, *options, preload=False, errors="surrogateescape", **more)
    *lines, last = out.splitlines() or [""]
    return status, sorted(lines), last, sorted(err.splitlines())


def what_is_in(folder, hidden=()):
    """Of each name in it: kind and permissions, time, and content."""
    found = {}
    for at, folders, files in os.walk(os.path.realpath(os.fsencode(folder))):
        for path in [at, *(os.path.join(at, each) for each in folders + files)]:
            about = os.lstat(path)
            name = os.path.relpath(path, os.path.realpath(os.fsencode(folder)))
            content = None
            if stat.S_ISLNK(about.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(about.st_mode):
                content = open(path, "rb").read() if about.st_mode & 0o400 else ""
            if name not in hidden:
                found[name] = (oct(about.st_mode), about.st_mtime_ns, content)
    return found


def check_same(place, hidden=(), to="to"):
    wanted, there = what_is_in(place / "from", hidden), what_is_in(place / to, hidden)
    for name in wanted.keys() | there.keys():
        if wanted.get(name) != there.get(name):
            raise SystemExit(f"{name}: {str(there.get(name))[:200]}, not {str(wanted.get(name))[:200]}")


def write(path, content, mode=0o644, at=1_000_000_000_123_456_789):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(at, at))


def make_tree(root):
    """Bytes of its files."""
    size = 0
    for n in range(100):
        write(root / f"many/{n % 7}/file{n}", bytes([n % 256]) * (n * 37), 0o400 + n % 0o400)
        size += n * 37
    deep = root.joinpath(*["d" * 10] * 100)
    for name in (b"a\nb", b"\x1b[2J", b"-rf", b" ", b"\xff\xfe", b"x" * 255, b"..x", b"*", "ü\x9b".encode()):
        write(deep / os.fsdecode(name), name)
        size += len(name)
    write(root / "empty", b"")
    write(root / "sticky", b"s", 0o1755)
    write(root / "large", os.urandom(9_000_001))
    (root / "no files").mkdir()
    (root / "closed").mkdir()
    write(root / "closed/in it", b"i")
    with open(root / "holes", "wb") as holes:
        holes.write(b"begin")
        holes.seek(3_000_000)
        holes.write(b"middle")
        holes.truncate(20_000_000)
    os.symlink("many/1", root / "link")
    os.symlink("nothing there", root / "dangling")
    os.symlink("round", root / "round")
    os.symlink("..", root / "no files/up")
    os.utime(root / "link", ns=(5, 7), follow_symlinks=False)
    for at, folders, _ in os.walk(root):
        os.utime(at, ns=(3, 1_100_000_000_000_000_001))
    (root / "closed").chmod(0o555)
    (root / "no files").chmod(0o750)
    return size + 1 + 9_000_001 + 1 + 20_000_000


def copied_whole(place, size, *options):
    to = "to" + "".join(map(str, options))
    with directory() as counts:
        counting = counted(counts, ticking=False)
        status, lines, last, err = copy(place, *options, to=to, prefix=[*UNPRIVILEGED, *counting.prefix])
        wanted = tell(files=114, folders=111, links=4, size=size)
        check((status, last, err) == (0, wanted, []), f"{options}: {status}, {last!r}, not {wanted!r}, {err}")
        check(len(lines) == 114 and "large  9000001 bytes" in lines, f"{options}: {len(lines)} lines")
        check(not any(re.search("[\x00-\x1f\x7f-\x9f]", line) for line in lines), "a name was not made fit for the terminal")
        for call in ["copy_file_range", "ftruncate", *(["fsync"] if "--sync" in options else [])]:
            check(counting.parked(call) >= 100, f"{options}: {call} let the others run {counting.parked(call)} times")
    check_same(place, to=to)
    holes = os.stat(place / "from/holes"), os.stat(place / to / "holes")
    check(holes[0].st_blocks * 512 > 10_000_000 or holes[1].st_blocks * 512 < 10_000_000, f"{holes[1].st_blocks} blocks")
    status, lines, last, err = copy(place, *options, "--update", to=to)
    check((status, lines, last, err) == (0, [], tell(folders=111, unchanged=118), []), f"once more: {status}, {lines}, {last!r}, {err}")


def limited():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


with directory() as place:
    size = make_tree(place / "from")
    for options in [], ["--jobs", 1], ["--jobs", 200, "--sync"]:
        copied_whole(place, size, *options)

# What differs is copied, and nothing else is touched.
with directory() as place:
    for name in "same", "other time", "other mode", "other size", "becomes a link":
        write(place / "from" / name, name.encode())
    for name in "link", "becomes a file":
        (place / "from" / name).symlink_to("same")
    (place / "from/closed").mkdir()
    write(place / "from/closed/file", b"f")
    check(copy(place)[0] == 0, "the first copy failed")
    write(place / "to/only there", b"stays")
    write(place / "from/other time", b"OTHER TIME", at=9)
    write(place / "from/other mode", b"other mode", mode=0o751)
    write(place / "from/other size", b"")
    write(place / "from/new", b"new")
    write(place / "from/closed/file", b"F", at=3)
    (place / "from/closed").chmod(0o500)
    for name, text in ("link", "other"), ("becomes a link", "same"):
        (place / "from" / name).unlink()
        (place / "from" / name).symlink_to(text)
    (place / "from/becomes a file").unlink()
    write(place / "from/becomes a file", b"a file")
    for wanted in tell(files=6, folders=2, links=2, size=30, unchanged=1), tell(folders=2, unchanged=9):
        (place / "to/closed").chmod(0o500)
        status, lines, last, err = copy(place, "--update", prefix=UNPRIVILEGED)
        check((status, last, err) == (0, wanted, []), f"--update: {status}, {lines}, {last!r}, not {wanted!r}, {err}")
        check_same(place, [b"only there"])
    check((place / "to/only there").read_bytes() == b"stays", "what was only there is gone")

# A folder does not become a file, nor the other way round; and no link is gone through.
with directory() as place:
    write(place / "from/folder/in it", b"i")
    write(place / "from/linked/in it", b"i")
    write(place / "from/file", b"f")
    write(place / "from/good", b"g")
    (place / "from/link").symlink_to("good")
    write(place / "to/folder", b"")
    (place / "elsewhere").mkdir()
    (place / "to/linked").symlink_to("../elsewhere")
    for name in "file", "link":
        write(place / "to" / name / "kept", b"")
    status, lines, last, err = copy(place, "--update")
    check((status, lines, last) == (1, ["good  1 bytes"], tell(files=1, size=1, failed=4)), f"kinds differ: {status}, {lines}, {last!r}")
    check(err == ["file: rename: Is a directory", f"folder: create {place}/to/folder: File exists", "link: replace: Is a directory",
                  f"linked: create {place}/to/linked: File exists"], f"kinds differ: {err}")
    check(sorted(os.listdir(place / "to")) == ["file", "folder", "good", "link", "linked"], f"left {os.listdir(place / 'to')}")
    check(os.listdir(place / "elsewhere") == [], "a link was followed")

# What is neither file, folder nor link; and a copy of another's program does not run as him.
with directory() as place:
    write(place / "from/file", b"f", 0o6755)
    os.mkfifo(place / "from/fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(place / "from/socket"))
        status, lines, last, err = copy(place)
    check((status, lines, last) == (0, ["file  1 bytes"], tell(files=1, size=1, skipped=2)), f"specials: {status}, {lines}, {last!r}")
    check(err == ["fifo: skipped, as it is a FIFO", "socket: skipped, as it is a socket"], f"specials: {err}")
    check(os.listdir(place / "to") == ["file"], f"specials: {os.listdir(place / 'to')}")
    check(os.stat(place / "to/file").st_mode == 0o100755, "set-user-ID was kept")

# What may not be read, and what does not fit.
with directory() as place:
    write(place / "from/a/secret", b"s", 0)
    write(place / "from/locked/in it", b"i")
    write(place / "from/large", bytes(100_001))
    write(place / "from/z/good", b"g")
    (place / "from/locked").chmod(0o300)
    status, lines, last, err = copy(place, prefix=UNPRIVILEGED, preexec_fn=limited)
    check((status, lines, last) == (1, ["z/good  1 bytes"], tell(files=1, folders=4, size=1, failed=3)), f"unreadable: {status}, {lines}, {last!r}")
    check(err == ["a/secret: open: Permission denied", "large: copy: File too large", "locked: Permission denied"], f"unreadable: {err}")
    check(what_is_in(place / "to").keys() == {b".", b"a", b"locked", b"z", b"z/good"}, f"left {what_is_in(place / 'to').keys()}")

# From one file system to another, which the kernel may not be able to do by itself.
if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
    with tempfile.TemporaryDirectory(prefix="coir-samples-", dir="/dev/shm") as other, directory() as place:
        (place / "from").symlink_to(other)
        size = make_tree(pathlib.Path(other))
        status, lines, last, err = copy(place)
        check((status, last, err) == (0, tell(files=114, folders=111, links=4, size=size), []), f"/dev/shm: {status}, {last!r}, {err}")
        check_same(place)


def refused(place, why, *arguments):
    before = what_is_in(place)
    status, out, err = run("copy_folder", *arguments, preload=False, cwd=place)
    check((status, out, err) == (1, "", f"copy_folder: {why}\n"), f"{arguments}: {status}, {out!r}, {err!r}, not {why!r}")
    check(what_is_in(place) == before, f"{arguments} changed something")


with directory() as place:
    write(place / "from/in/file", b"f")
    (place / "link").symlink_to("from")
    (place / "there").mkdir()
    (place / "dangling").symlink_to("nowhere")
    write(place / "file", b"")
    for to in "from", "from/", "from/in", "from/in/it/new", "link", "link/new", "./from/../from/new", ".":
        for options in [], ["--update"]:
            refused(place, f"of from and {to} one is in the other", "from", to, *options)
    refused(place, "there is there already: --update copies into it what differs", "from", "there")
    refused(place, "there/ is there already: --update copies into it what differs", "from", "there/")
    refused(place, "dangling is there already: --update copies into it what differs", "from", "dangling")
    refused(place, f"create {place}/file: File exists", "from", "file", "--update")
    refused(place, f"create {place}/none/new: No such file or directory", "from", "none/new")
    refused(place, "none: No such file or directory", "none", "new")
    refused(place, "file: Not a directory", "file", "new")
    check(run("copy_folder", "link", "new/", preload=False, cwd=place)[0] == 0 and (place / "new/in/file").read_bytes() == b"f", "a link to a folder")

# On a terminal those that are under way stand at its foot.
with directory() as place:
    for n in range(6):
        write(place / f"from/file{n}", bytes(n))
    written, status = screen_of(24, "copy_folder", place / "from", place / "to", preload=False)
    check(status == 0, f"on a terminal: {status}, {written!r}")
    check(re.search("(  0 bytes  file\\d\r\n){6}", written), f"six files were never drawn together: {written!r}")
    check(sorted(remains(written)) == [tell(files=6, size=15), *(f"file{n}  {n} bytes" for n in range(6))], f"{remains(written)}")

    with open("/dev/full", "w") as full:
        status, _, err = run("copy_folder", place / "from", place / "other", preload=False, stdout=full)
    check((status, err) == (1, "copy_folder: write to stdout failed\n"), f"/dev/full: {status}, {err!r}")
    check(what_is_in(place / "from") == what_is_in(place / "other"), "it was not copied because it could not be told")
