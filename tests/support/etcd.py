"""The plane's etcd, spoken to past the API server: what happens to objects while it is away."""

import base64
from collections.abc import Iterable
from typing import Any

import httpx


class Etcd:
    """A client of etcd's JSON gateway.

    Args:
        port: on loopback.
    """

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/v3/kv"

    def delete(self, keys: Iterable[str]) -> None:
        """Delete keys; each must exist."""
        for key in keys:
            answer = self._post("deleterange", {"key": base64.b64encode(key.encode()).decode()})
            assert answer.get("deleted") == "1", f"{key} was not there"

    def revision(self) -> int:
        """The newest revision."""
        header = self._post("range", {"key": base64.b64encode(b"none").decode()})["header"]
        return int(header["revision"])

    def compact(self) -> None:
        """Forget all history before now."""
        self._post("compaction", {"revision": str(self.revision()), "physical": True})

    def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(f"{self._base}/{verb}", json=body, timeout=20, trust_env=False)
        answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return result
