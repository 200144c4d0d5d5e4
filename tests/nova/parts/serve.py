"""A WSGI service of OpenStack over HTTP on loopback: ``serve.py MODULE PORT [one-thread]``."""

import importlib
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

module, port, *more = sys.argv[1:]
sys.argv = sys.argv[:1]  # oslo.config reads it


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def address_string(self) -> str:
        return self.client_address[0]

    def log_message(self, *_: object) -> None: ...


application = importlib.import_module(module).application
# Keystone gets one thread: two writers at once would find its SQLite database locked.
make_server("127.0.0.1", int(port), application, WSGIServer if more else Threads, Handler).serve_forever()
