"""An HTTP/1.1 server for tests on Python's http.server. Its queries are httpserve's: status, delay, bytes, chunked, echo."""

import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        query = parse_qs(urlsplit(self.path).query)

        def number(name, otherwise):
            return int(query[name][0]) if name in query else otherwise

        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(number("delay", 0) / 1000)
        status = number("status", 200)
        self.send_response(status)
        if status in (204, 304):
            self.end_headers()
        elif "chunked" in query:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.chunks(number("chunked", 0))
        else:
            if "echo" not in query:
                body = b"." * number("bytes", 2)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def chunks(self, n):
        while n > 0:
            size = min(n, 16384)
            self.wfile.write(b"%x\r\n" % size + b"." * size + b"\r\n")
            n -= size
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *args):
        pass


host, port = sys.argv[1].rsplit(":", 1)
ThreadingHTTPServer.request_queue_size = 128
if ":" in host:
    ThreadingHTTPServer.address_family = socket.AF_INET6
server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
print("listening %s:%d" % server.server_address[:2], flush=True)
server.serve_forever()
