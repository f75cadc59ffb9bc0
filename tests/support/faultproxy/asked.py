"""One request that came by: what it asks, of which object, and what became of it."""

import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

READS = frozenset({"GET", "HEAD", "OPTIONS"})
NO_STATE = frozenset({"leases", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"})
"""Kinds that carry none of the product's decisions."""


@dataclass(slots=True)
class Asked:
    """A request on its way from an operator's pod to the API server.

    Attributes:
        number: its place among all requests, from 1.
        port: the port it came from, which tells the process.
        at: when it came, monotonic seconds.
        status: the answer's status; 0 while there is none.
        ours: whether the answer was the proxy's own.
    """

    number: int
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    port: int
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    ours: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The target's parameters."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def watch(self) -> bool:
        """Whether the answer goes on."""
        return self.query.get("watch") in {"true", "1"}

    @property
    def write(self) -> bool:
        """Whether it changes what the product decides on; dry runs and leases do not."""
        return (
            self.method not in READS
            and "dryRun" not in self.query
            and self.kind.partition("/")[0] not in NO_STATE
            and not self.path.startswith("/apis/authorization")
        )

    @property
    def kind(self) -> str:
        """Plural with its subresource, as in `pods/eviction`."""
        return self._parts[1]

    @property
    def namespace(self) -> str:
        """Where the object lives; empty for none."""
        return self._parts[0]

    @property
    def name(self) -> str:
        """The object; empty for a collection."""
        return self._parts[2]

    @property
    def content(self) -> dict[str, Any]:
        """The body, or an empty object where it is none (JSON patches are lists)."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def header(self, name: bytes) -> str:
        """One header's value, or empty."""
        return next((v.decode() for k, v in self.headers if k.lower() == name), "")

    @property
    def _parts(self) -> tuple[str, str, str]:
        parts = self.path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:
            namespace, rest = rest[1], rest[2:]
        kind, name, *sub = [*rest, "", ""][: max(2, len(rest))]
        return namespace, "/".join((kind, *(s for s in sub if s))), name

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}".strip("/")
        return f"#{self.number} {self.method} {self.kind} {where} -> {self.status or 'no answer'}"
