"""Keep a projection of one collection: list, then watch, and list again whenever the watch ends badly."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from localplane.kube import Kube, KubeError

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 60
PAUSES: Final = (0.2, 0.5, 1.0, 2.0)


class WatchEndedError(Exception):
    """The server said that the watch cannot go on from its version (410 Gone)."""


@dataclass(slots=True)
class Reflector:
    """Feeds a store from one collection of the API until it is stopped."""

    kube: Kube
    path: str
    replace: Callable[[Iterable[Mapping[str, Any]]], None]
    """Takes a whole list; what is not in it is gone."""

    event: Callable[[str, Mapping[str, Any]], None]
    """Takes one ADDED, MODIFIED or DELETED."""

    fields: str = ""
    synced: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event) -> None:
        """List and watch until `stop` is set; errors are logged and tried again."""
        failures = 0
        while not stop.is_set():
            try:
                version = self._list()
                failures = 0
                while not stop.is_set():
                    version = self._watch(version, stop)
            except (
                KubeError,
                httpx.HTTPError,
                WatchEndedError,
                ValueError,
            ) as error:  # ValueError: a cut line
                log.info("%s: listing again after %r", self.path, error)
                stop.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1

    def _list(self) -> str:
        answer = self.kube.get(self.path, fieldSelector=self.fields)
        self.replace(answer["items"])
        self.synced.set()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, version: str, stop: threading.Event) -> str:
        query = {"fieldSelector": self.fields, "allowWatchBookmarks": True}
        for event in self.kube.watch(self.path, resource_version=version, seconds=WATCH_SECONDS, **query):
            if event["type"] == "ERROR":
                raise WatchEndedError(event["object"].get("message", ""))
            if event["type"] != "BOOKMARK":
                self.event(event["type"], event["object"])
            version = str(event["object"]["metadata"]["resourceVersion"])
            if stop.is_set():
                break
        return version
