"""Projections that may fail: one odd object must not blind us to all others, and must not be forgotten."""

import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gpupool.kube.resources import Json, ObjectKey, Selection, key_of
from gpupool.model.senses import Unread

T = TypeVar("T")
log = logging.getLogger(__name__)


class Guard(Generic[T]):
    """A projection that gives None for what it cannot read, and knows what that was.

    Args:
        project: raw object to value; it may raise.
        selection: whose objects are read.
    """

    def __init__(self, project: Callable[[Json], T | None], selection: Selection) -> None:
        self._project = project
        self._resource = selection.resource
        self._unread: dict[ObjectKey, Unread] = {}

    def __call__(self, raw: Json) -> T | None:
        """The projection of an object; None where there is none."""
        key = key_of(raw)
        try:
            found = self._project(raw)
        except Exception:
            self._unread[key] = Unread(self._resource.plural, key.name, key.namespace, _node(raw))
            extra = {"resource": str(self._resource), "object": "/".join(key)}
            log.exception("object cannot be read", extra=extra)
            return None
        self._unread.pop(key, None)
        return found

    def unread(self, there: Callable[[ObjectKey], Any]) -> tuple[Unread, ...]:
        """The objects that could not be read and are still there; all others are forgotten.

        Args:
            there: gives None for what is gone.
        """
        self._unread = {key: found for key, found in self._unread.items() if there(key) is not None}
        return tuple(found for _, found in sorted(self._unread.items()))


def _node(raw: Json) -> str:
    """Where an object is bound, if it is of a kind that is; it may be odd in any way."""
    spec = raw.get("spec")
    node = spec.get("nodeName") if isinstance(spec, dict) else None
    return node if isinstance(node, str) else ""
