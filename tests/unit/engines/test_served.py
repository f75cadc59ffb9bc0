"""The engines' pages over HTTP, as Prometheus gets them."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from localplane.exporter.serve import Pages, Server
from localplane.ports import free_port
from support.engines import Rig, live_engine


@pytest.fixture
def url() -> Iterator[str]:
    rig = Rig(live_engine("a", load=3), live_engine("b", data="silent"))
    port = free_port()
    pages = Pages(lambda: "", dict, lambda: True, lambda change: change, rig.pages.answer)
    server = Server(port, pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "status", "kind", "words"),
    [
        ("/engines/targets", 200, "application/json", "__metrics_path__"),
        ("/engines/team/a/metrics", 200, "text/plain", "vllm:num_requests_running"),
        ("/engines/cadvisor/metrics", 200, "text/plain", "container_cpu_usage_seconds_total"),
        ("/engines/gateway/metrics", 200, "text/plain", "fake_gateway_requests_total"),
        ("/engines/team/b/metrics", 503, "text/plain", "team/b does not answer"),
        ("/engines/team/c/metrics", 404, "text/plain", "/engines/targets"),
        ("/engines/", 404, "text/plain", "/engines/targets"),
    ],
)
def test_pages_and_their_refusals(url: str, path: str, status: int, kind: str, words: str) -> None:
    found = httpx.get(url + path, trust_env=False)
    assert (found.status_code, found.headers["Content-Type"].partition(";")[0]) == (status, kind)
    assert words in found.text
