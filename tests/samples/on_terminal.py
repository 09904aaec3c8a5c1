#!/usr/bin/python3
"""On a terminal every file under way has its line, drawn again in place; only finished lines remain."""
import fcntl
import os
import pty
import re
import struct
import termios

from harness import check, directory, server, skip, start


def screen_of(rows, *arguments):
    """All that the downloader writes to a terminal with so many rows, and its exit status."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        skip(f"there are no terminals here, as in a chroot without /dev/pts: {error}")
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    process = start("downloader", *arguments, stdout=slave, stderr=slave)
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


with server("origin", "--delay", "50") as origin, directory() as place:
    urls = [origin.url(f"file{n}?size={n}") for n in range(6)]
    written, status = screen_of(24, "--dir", place, *urls, origin.url("missing/gone"))
    check(status == 1, f"exit status {status}")
    check(re.search("(  0 bytes  file\\d\r\n){6}", written), f"six files were never drawn together: {written!r}")
    left = remains(written)
    check(len(left) == 7 and sum("missing/gone: " in line for line in left) == 1, f"left on the screen: {left}")

    written, status = screen_of(5, "--dir", place, *urls)
    check(status == 0 and "… 3 more" in written, f"too many for the screen: {written!r}")
    check(len(remains(written)) == 6, f"left on the screen: {remains(written)}")
