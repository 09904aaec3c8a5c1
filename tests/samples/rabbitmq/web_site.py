"""A site to be crawled: what it was asked for, by whom, and requests that it holds until it is told to answer them."""
import collections
import contextlib
import http.server
import os
import pathlib
import re
import threading


def page(title, links):
    return f"<html><title>{title}</title>\n{' '.join(links)}</html>\n".encode()


def link(target):
    return f'<a href="{target}">x</a>'


class Site(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, pages, free=()):
        """`pages`: path → content, or a function that is given the handler and answers by itself. Until release() only
        those of `free` are answered."""
        self.pages = pages
        self.free = set(free)
        self.asked = collections.Counter()  # path → how often
        self.held = []  # (path, the client's port)
        self.changed = threading.Condition()
        self.released, self.over = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release()
        self.over.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def release(self):
        self.released.set()

    def wait_until_held(self, count):
        with self.changed:
            self.changed.wait_for(lambda: len(self.held) >= count)
            return list(self.held)

    def owners(self, pids):
        """Which of the processes has the client's socket of each request that is held: {port: pid}. One of them must."""
        ports = {port for _, port in self.held}
        found = {}
        while found.keys() != ports:  # while others connect, the kernel's table may come without some of its lines
            at = {}  # inode → port, of connections to this site: to another place a port may be used once more
            for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
                if int(remote.split(":")[1], 16) == self.server_port:
                    at[inode] = int(local.split(":")[1], 16)
            for pid in pids:
                for descriptor in os.scandir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(FileNotFoundError):
                        match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor.path))
                        if match and at.get(match[1]) in ports:
                            found[at[match[1]]] = pid
        return found

    def handle_error(self, *_):
        pass  # who asked has gone


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        with site.changed:
            site.asked[self.path] += 1
            if self.path not in site.free and not site.released.is_set():
                site.held.append((self.path, self.client_address[1]))
                site.changed.notify_all()
        if self.path not in site.free:
            site.released.wait()
        content = site.pages.get(self.path)
        if callable(content):
            content(self)
        elif content is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def stored(*directories):
    """What lies there under names that are no remains of a worker's end."""
    return [each.read_bytes() for directory in directories for each in directory.iterdir() if not each.name.startswith(".")]
