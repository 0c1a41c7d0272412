"""A web server of the tests' own that speaks TLS and misbehaves as it is told, and a proxy before it."""

import datetime
import select
import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


class Server:
    """`answers[path](request)` writes the answer to a request for a path; `asked` lists path and Range of each."""

    def __init__(self, authority, expired=False):
        self.answers, self.asked, self.ended = {}, [], threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = ("localhost", "127.0.0.1")
        authority.issue_cert(*names, **({"not_after": LONG_AGO} if expired else {})).configure_cert(context)
        self._http = _Quiet(("127.0.0.1", 0), self._handler())
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path, host="localhost"):
        return f"https://{host}:{self._http.server_port}/{path}"

    def serves(self, path, answer):
        """From now on; returns the address."""
        self.answers[path] = answer
        return self.url(path)

    def close(self):
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.lstrip("/")
                server.asked.append((path, self.headers["Range"]))
                server.answers[path](self)

            def log_message(self, *_):
                pass

        return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def handle_error(self, *_):
        pass  # clients that break off are what the tests are about


def whole(payload, tag='"1"', cut=(), ranges=True, length=None, kind="application/octet-stream", gap=None):
    """The answer of a healthy server.

    Args:
        tag: the ETag; None: neither tag nor date.
        cut: at which bytes the first answers break off, one after the other.
        ranges: can it answer in parts?
        length: that it promises in the place of the true one.
        gap: called between blocks of the answer.
    """
    cuts = list(cut)

    def answer(request):
        start = _start(request, tag) if ranges else 0
        if start and start >= len(payload):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(payload) - 1}/{len(payload)}")
        if tag:
            request.send_header("ETag", tag)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(payload) - start if length is None else length))
        request.end_headers()
        stop = cuts.pop(0) if cuts else len(payload)
        step = len(payload) if gap is None else len(payload) // 8
        for at in range(start, max(start, stop), step):
            request.wfile.write(payload[at : min(at + step, stop)])
            if gap:
                gap()
        request.close_connection = True

    return answer


def _start(request, tag):
    wanted = request.headers["Range"]
    given = request.headers["If-Range"]
    if not wanted or (given and given != tag):
        return 0
    return int(wanted.removeprefix("bytes=").rstrip("-"))


def says(code, **headers):
    """An answer without a file."""

    def answer(request):
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@contextmanager
def proxy():
    """A proxy for https; yields its host and port, and the list of hosts that it was asked for."""
    asked = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            target = self.rfile.readline().split()[1].decode()
            while self.rfile.readline().strip():
                pass
            asked.append(target)
            host, port = target.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as far:
                self.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                ends = {self.connection: far, far: self.connection}
                while block := (source := select.select(list(ends), [], [])[0][0]).recv(1 << 16):
                    ends[source].sendall(block)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, *_):
            pass

    with Threads(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()


def authority(folder):
    """A certificate authority, and the file of its certificate."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(folder / "authority.pem"))
    return made, folder / "authority.pem"
