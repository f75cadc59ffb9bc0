"""Writes what pods do into the API, in a thread of its own, so that an absent API server stops nothing."""

import threading
from contextlib import suppress
from typing import Final

import httpx

from localplane.kube import Kube, KubeError
from localplane.runner.podspec import Json, PodSpec

RETRY_SECONDS: Final = 0.5


class Reporter:
    """Brings the API's view of each pod to the latest status; older ones are skipped."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._wanted: dict[str, tuple[PodSpec, Json]] = {}
        self._written: dict[str, Json] = {}
        self._removals: dict[str, PodSpec] = {}
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def report(self, spec: PodSpec, status: Json) -> None:
        """Ask for this status to be written, unless it is what was written last."""
        with self._changed:
            if self._written.get(spec.uid) != status:
                self._wanted[spec.uid] = (spec, status)
                self._changed.notify()

    def remove(self, spec: PodSpec) -> None:
        """Ask for the pod object to be deleted at once: its processes are gone."""
        with self._changed:
            self._wanted.pop(spec.uid, None)
            self._removals[spec.uid] = spec
            self._changed.notify()

    def forget(self, uid: str) -> None:
        """The pod no longer exists."""
        with self._changed:
            for known in (self._wanted, self._written, self._removals):
                known.pop(uid, None)

    def stop(self, seconds: float) -> None:
        """Write what is left, for at most `seconds`."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._wanted or self._removals or self._over))
                if self._over and not self._wanted:
                    return
                wanted, removals = dict(self._wanted), dict(self._removals)
            try:
                for uid, (spec, status) in wanted.items():
                    self._write(uid, spec, status)
                for uid, spec in removals.items():
                    self._delete(uid, spec)
            except httpx.HTTPError:
                threading.Event().wait(RETRY_SECONDS)

    def _write(self, uid: str, spec: PodSpec, status: Json) -> None:
        path = f"/api/v1/namespaces/{spec.namespace}/pods/{spec.name}/status"
        with suppress(KubeError):  # gone, or another pod of this name: the watch will say so
            self._kube.patch(path, {"metadata": {"uid": uid}, "status": status})
        with self._changed:
            self._written[uid] = status
            if self._wanted.get(uid) == (spec, status):
                del self._wanted[uid]

    def _delete(self, uid: str, spec: PodSpec) -> None:
        path = f"/api/v1/namespaces/{spec.namespace}/pods/{spec.name}"
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        with suppress(KubeError):
            self._kube.request("DELETE", path, body=options)
        with self._changed:
            self._removals.pop(uid, None)
