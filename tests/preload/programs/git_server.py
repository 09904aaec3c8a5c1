"""Serves the repositories below the current directory by git's own backend, as CGI.

usage: git_server.py ADDRESS PORT
"""
import http.server
import os
import subprocess
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, query = self.path.partition('?')
        environment = {**os.environ, 'GIT_PROJECT_ROOT': os.getcwd(), 'GIT_HTTP_EXPORT_ALL': '1', 'PATH_INFO': path,
                       'QUERY_STRING': query, 'REQUEST_METHOD': self.command,
                       'CONTENT_TYPE': self.headers.get('Content-Type', ''),
                       'HTTP_CONTENT_ENCODING': self.headers.get('Content-Encoding', ''),
                       'GIT_PROTOCOL': self.headers.get('Git-Protocol', '')}
        if self.headers.get('Transfer-Encoding') == 'chunked':
            body = b''
            while length := int(self.rfile.readline(), 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        said = subprocess.run(['git', 'http-backend'], env=environment, input=body, stdout=subprocess.PIPE).stdout
        head, _, content = said.partition(b'\r\n\r\n')
        headers = dict(line.split(': ', 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop('Status', '200').split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
