#!/usr/bin/python3
"""gevent's side of echo.cpp: a greenlet per connection, its own sockets."""
import resource

import gevent
import gevent.socket

ROOM = 1024  # of a connection's buffer


def echo(peer):
    while got := peer.recv(ROOM):
        peer.sendall(got)
    peer.close()


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
listener = gevent.socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(4096)
print(listener.getsockname()[1], flush=True)
while True:
    gevent.spawn(echo, listener.accept()[0])
