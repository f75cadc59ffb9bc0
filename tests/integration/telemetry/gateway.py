"""A small real reverse proxy before Prometheus: it asks for a token, and fails as gateways do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from typing_extensions import override

SLOW_SECONDS = 30.0


class Gateway(ThreadingHTTPServer):
    """Passes questions on to a Prometheus.

    Attributes:
        token: bearer token that is asked for; empty lets everybody in.
        fault: what it does instead: `down`, `slow`, `html`, `login`, or a status code; empty for nothing.
        heard: headers of the last question.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.token = ""
        self.fault = ""
        self.heard: dict[str, str] = {}
        self.woken = threading.Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks may have given up; that is part of some scenarios."""

    def mend(self) -> None:
        """Do nothing wrong any more."""
        self.fault = ""
        self.woken.set()


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _handle(self, body: bytes) -> None:
        gateway = self.server
        gateway.heard = dict(self.headers)
        match gateway.fault:
            case "down":
                self.close_connection = True
            case "slow":
                gateway.woken.clear()
                gateway.woken.wait(SLOW_SECONDS)
            case "html":
                self._send(200, b"<html>Welcome</html>", "text/html")
            case "login":
                self._send(302, b"", "text/html", Location="https://login.example/start?state=1")
            case "":
                self._pass(body)
            case status:
                self._send(int(status), b"no", "text/plain")

    def _pass(self, body: bytes) -> None:
        token = self.server.token
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            self._send(401, b"who are you?", "text/plain")
            return
        kind = {"Content-Type": self.headers["Content-Type"]} if "Content-Type" in self.headers else {}
        answer = httpx.request(
            self.command, self.server.upstream + self.path, content=body, headers=kind, trust_env=False
        )
        self._send(answer.status_code, answer.content, answer.headers.get("Content-Type", ""))

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def gateway(upstream: str) -> Iterator[Gateway]:
    """A proxy before a Prometheus, until the block ends."""
    server = Gateway(upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.mend()
        server.shutdown()
        server.server_close()
        thread.join(10)
