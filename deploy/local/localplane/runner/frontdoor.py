"""One fixed address of the operator's metrics, like a Service: the leader's page, else anybody's."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import httpx
from typing_extensions import override

ANSWER_SECONDS: Final = 2.0
LEADING: Final = b"\ngpupool_leader 1"
CONTENT: Final = "text/plain; version=0.0.4; charset=utf-8"
READERS: Final = 4


class FrontDoor:
    """Listens on a port from the first moment; which pods are behind it changes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ports: tuple[int, ...] = ()
        self._server: ThreadingHTTPServer | None = None

    def open(self) -> None:
        """Listen, unless it listens already or the port is not free yet: then at the next call."""
        if self._server is None:
            try:
                self._server = _Server(("127.0.0.1", self._port), _handler(self.page))
            except OSError:
                return
            threading.Thread(target=self._server.serve_forever, name="front door", daemon=True).start()

    def lead_to(self, ports: Sequence[int]) -> None:
        """Name the ports on which pods serve metrics now."""
        self._ports = tuple(ports)

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def page(self) -> bytes | None:
        """The page of the pod that leads; of any pod that answers; None where none does."""
        ports = self._ports
        if not ports:
            return None
        with ThreadPoolExecutor(READERS) as readers:
            pages = [page for page in readers.map(_read, ports) if page is not None]
        leaders = [page for page in pages if LEADING in page]
        return next(iter([*leaders, *pages]), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def _handler(page: Callable[[], bytes | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = page() if self.path == "/metrics" else None
            self.send_response(httpx.codes.SERVICE_UNAVAILABLE if found is None else httpx.codes.OK)
            self.send_header("Content-Type", CONTENT)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Not a line per scrape."""

    return Handler


def _read(port: int) -> bytes | None:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=ANSWER_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return None
    return answer.content if answer.is_success else None
