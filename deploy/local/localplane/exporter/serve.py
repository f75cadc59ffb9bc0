"""The HTTP side: /metrics, /debug/state, /healthz, /engines and POST /control."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from typing_extensions import override

from localplane.errors import PlaneError
from localplane.exporter.render import CONTENT_TYPE

log = logging.getLogger(__name__)

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Pages:
    """What the server answers with."""

    metrics: Callable[[], str]
    state: Callable[[], Any]
    ready: Callable[[], bool]
    control: Callable[[dict[str, Any]], Any]
    """Takes the JSON object of POST /control and returns what holds now."""

    engines: Callable[[str], tuple[str, str] | None] = lambda _path: None
    """Content type and text of a path below /engines; None where there is no such page."""


class Server(ThreadingHTTPServer):
    """One server on loopback."""

    daemon_threads = True

    def __init__(self, port: int, pages: Pages) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.pages = pages


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        pages = self.server.pages
        match self.path.partition("?")[0]:
            case "/metrics" if pages.ready():
                self._answer(pages.metrics, CONTENT_TYPE)
            case "/debug/state":
                self._answer(lambda: json.dumps(pages.state(), indent=1), JSON_TYPE)
            case "/healthz" if pages.ready():
                self._send(HTTPStatus.OK, "ok\n", "text/plain")
            case "/metrics" | "/healthz":
                self._send(
                    HTTPStatus.SERVICE_UNAVAILABLE, "nodes and pods are not listed yet\n", "text/plain"
                )
            case path if path.startswith("/engines/"):
                self._engines(path)
            case _:
                self._send(HTTPStatus.NOT_FOUND, "try /metrics, /debug/state, /healthz\n", "text/plain")

    def do_POST(self) -> None:
        if self.path != "/control":
            self._send(HTTPStatus.NOT_FOUND, "try /control\n", "text/plain")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(lambda: json.dumps(self.server.pages.control(json.loads(body))), JSON_TYPE)

    def _engines(self, path: str) -> None:
        try:
            found = self.server.pages.engines(path)
        except PlaneError as error:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n", "text/plain")
            return
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, "no engine there; try /engines/targets\n", "text/plain")
        else:
            self._send(HTTPStatus.OK, found[1], found[0])

    def _answer(self, page: Callable[[], str], kind: str) -> None:
        try:
            text = page()
        except (PlaneError, ValueError, TypeError) as error:
            self._send(HTTPStatus.BAD_REQUEST, f"{error}\n", "text/plain")
        else:
            self._send(HTTPStatus.OK, text, kind)

    def _send(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
