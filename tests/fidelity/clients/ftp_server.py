"""An ftp server that waits before it hands a file over, as many seconds as the file's name says.

usage: ftp_server.py PORT DIRECTORY
"""
import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


class PlainFiles(AbstractedFS):
    def realpath(self, path):
        """There are no links; to look for them takes a sixth of its time."""
        return path


class SlowHandler(FTPHandler):
    waiting = None

    def ftp_EPSV(self, line):
        """A little later: libcurl 7.88 waits a second for nothing, without the shim as with it, if the answer is there
        when it first looks, which it does right behind its question."""
        self.waiting = self.ioloop.call_later(0.02, super().ftp_EPSV, line)

    def ftp_RETR(self, file):
        delay = float(file.rsplit('/', 1)[-1])
        if delay == 0:
            return super().ftp_RETR(file)
        self.waiting = self.ioloop.call_later(delay, super().ftp_RETR, file)

    def close(self):
        if self.waiting and not self.waiting.cancelled:
            self.waiting.cancel()
        super().close()


logging.basicConfig(level=logging.WARNING)  # not every command: it takes more time than serving it
port, directory = sys.argv[1:]
SlowHandler.abstracted_fs = PlainFiles
SlowHandler.authorizer = DummyAuthorizer()
SlowHandler.authorizer.add_anonymous(directory)
server = FTPServer(('127.0.0.1', int(port)), SlowHandler, backlog=1024)
server.serve_forever()
