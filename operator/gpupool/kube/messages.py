"""What goes to the API server and comes from it, beside the objects themselves."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gpupool.kube.resources import Json

_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def encoded(body: Any) -> bytes:
    """A body as JSON that is YAML too: applies are read as YAML.

    YAML knows no pairs of surrogates, so what lies beyond 16 bits (emoji) is written as it is, and what YAML
    calls unprintable is escaped.
    """
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


class EventKind(StrEnum):
    """What a watch event tells. Errors are raised, not yielded."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch. A bookmark's object holds only its resourceVersion."""

    kind: EventKind
    obj: Json


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        items: raw objects, without apiVersion and kind, as lists give them.
        version: resourceVersion of the whole list.
        remaining: objects after this page; None where the server does not count them.
        first: True for the first page. A second first page means that the list began again and
            what came before it is void.
    """

    items: list[Json]
    version: int
    remaining: int | None
    first: bool


@dataclass(frozen=True, slots=True)
class Precondition:
    """The very state of an object that a decision was made on.

    Both are needed: an apply with only a resourceVersion creates an object that has vanished.

    Attributes:
        uid: which incarnation of the name.
        version: its resourceVersion.
    """

    uid: str
    version: int

    def guarding(self, body: Json) -> Json:
        """An apply body that the server refuses (Conflict) unless the object is in this state."""
        guard = {"uid": self.uid, "resourceVersion": str(self.version)}
        return body | {"metadata": body["metadata"] | guard}

    @classmethod
    def of(cls, obj: Json) -> "Precondition":
        """The present state of a raw object."""
        return cls(obj["metadata"]["uid"], int(obj["metadata"]["resourceVersion"]))


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a delete, or an eviction, insists on.

    Attributes:
        uid: only this very object, not a namesake; a mismatch is a Conflict.
        version: only if still this resourceVersion.
    """

    uid: str = ""
    version: int = 0

    def body(self) -> Json:
        """As a DeleteOptions object."""
        return {"apiVersion": "v1", "kind": "DeleteOptions"} | self.fields()

    def fields(self) -> Json:
        """Its fields alone, as an Eviction embeds them."""
        preconditions = {"uid": self.uid, "resourceVersion": str(self.version or "")}
        given = {name: value for name, value in preconditions.items() if value}
        return {"preconditions": given} if given else {}
