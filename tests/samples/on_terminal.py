#!/usr/bin/python3
"""On a terminal every file under way has its line, drawn again in place; only finished lines remain."""
import re

from harness import check, directory, remains, screen_of, server

with server("origin", "--delay", "50") as origin, directory() as place:
    urls = [origin.url(f"file{n}?size={n}") for n in range(6)]
    written, status = screen_of(24, "downloader", "--dir", place, *urls, origin.url("missing/gone"))
    check(status == 1, f"exit status {status}")
    check(re.search("(  0 bytes  file\\d\r\n){6}", written), f"six files were never drawn together: {written!r}")
    left = remains(written)
    check(len(left) == 7 and sum("missing/gone: " in line for line in left) == 1, f"left on the screen: {left}")

    written, status = screen_of(5, "downloader", "--dir", place, *urls)
    check(status == 0 and "… 3 more" in written, f"too many for the screen: {written!r}")
    check(len(remains(written)) == 6, f"left on the screen: {remains(written)}")
