#!/usr/bin/python3
"""http_server as wrk, ab, h2load, curl and a browser see it: each gets what is there, and nobody sees an error.

usage: http_clients.py [SCREENSHOT]

The browser's page says by itself whether its WebSocket works; a screenshot of it is kept if a place for it is named.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from harness import check, directory, skip
from http_server import serving

missing = [each for each in ("wrk", "ab", "h2load", "curl", "chromium") if not shutil.which(each)]
if missing:
    skip(f"not installed: {', '.join(missing)}")


def output(*command):
    done = subprocess.run([*map(str, command)], text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=100)
    check(done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def found(pattern, text):
    match = re.search(pattern, text)
    check(match, f"no {pattern!r} in:\n{text}")
    return int(match[1])


def loads(port):
    url = f"http://127.0.0.1:{port}/file.bin"
    said = output("wrk", "-t1", "-c50", "-d1s", url)
    check(found(r"(\d+) requests in", said) > 50 and "Non-2xx" not in said and "Socket errors" not in said, said)
    for keeps in [], ["-k"]:
        said = output("ab", "-q", *keeps, "-n", 2000, "-c", 50, url)
        check(found(r"Complete requests:\s+(\d+)", said) == 2000 and found(r"Failed requests:\s+(\d+)", said) == 0, said)
        check("Non-2xx" not in said, said)
    said = output("h2load", "--h1", "-n", 2000, "-c", 50, url)
    check(found(r"(\d+) succeeded", said) == 2000 and found(r"status codes: (\d+) 2xx", said) == 2000, said)


def curl(port, content, into):
    url = f"http://127.0.0.1:{port}/file.bin"
    output("curl", "-sS", "-f", "--next", "-o", into / "a", url, "-o", into / "b", url)
    check((into / "a").read_bytes() == (into / "b").read_bytes() == content, "curl got something else")


def browser(port, profile, screenshot):
    """The page at /, when its script has run: the WebSocket's answer is in it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
               "--virtual-time-budget=10000"]
    page = output("chromium", *options, "--dump-dom", f"http://127.0.0.1:{port}/")
    check("<h1>It works</h1>" in page, page)
    check('<b id="said">hello</b>' in page, f"no answer over the WebSocket: {page}")
    output("chromium", *options, f"--screenshot={screenshot}", "--window-size=800,400", f"http://127.0.0.1:{port}/")
    check(screenshot.read_bytes().startswith(b"\x89PNG"), "no screenshot")


with directory() as here:
    root = here / "root"
    root.mkdir()
    content = os.urandom(4096)
    (root / "file.bin").write_bytes(content)
    with serving(root) as port:
        loads(port)
        curl(port, content, here)
        browser(port, here / "profile", pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "page.png")
