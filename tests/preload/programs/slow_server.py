"""A server of HTTP that waits as long as it is told.

usage: slow_server.py ADDRESS PORT
"""
import hashlib
import http.server
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def version_string(self):
        return 'slow'

    def date_time_string(self, timestamp=None):
        return 'Thu, 01 Jan 1970 00:00:00 GMT'

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get('Transfer-Encoding') != 'chunked':
            return self.rfile.read(int(self.headers.get('Content-Length', 0)))
        whole = b''
        while length := int(self.rfile.readline(), 16):
            whole += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def answer(self, text, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        what, *rest = self.path.strip('/').split('/')
        if what == 'slow':
            time.sleep(int(rest[0]) / 1000)
            self.answer(rest[1].encode() + b'\n')
        elif what == 'redirect':
            self.answer(b'', 302, Location='/slow/10/' + rest[0])
        elif what == 'large':
            self.answer(b'0123456789abcdef' * 25000)
        elif what == 'cut':
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            self.wfile.write(b'not all')
            self.close_connection = True
        elif what == 'status':
            self.answer(b'', int(rest[0]))
        elif what == 'digest':
            self.answer(hashlib.sha256(self.body()).hexdigest().encode() + b'\n')
        elif what == 'length':
            self.answer(b'%d bytes\n' % len(self.body()))

    do_PUT = do_POST = do_GET


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # who goes away before the answer


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
