"""Every change of what the laws speak of, in the order etcd gave them, past the operator and its proxy.

One watch per kind. resourceVersions are etcd's own, one sequence for all kinds, so that changes of quotas,
pods and nodes can be put in order and every state that ever was can be looked at.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from localplane.kube import Kube, KubeError
from support.commitments import QUOTA, Json, Key
from support.plane import eventually

OURS = "/apis/gpupool.dev/v1alpha1"
PATHS = {
    "quotas": "/api/v1/resourcequotas",
    "pods": "/api/v1/pods",
    "nodes": "/api/v1/nodes",
    "pools": f"{OURS}/gpupools",
    "requests": f"{OURS}/capacityrequests",
    "events": "/api/v1/events",
}
FIELDS = {"quotas": f"metadata.name={QUOTA}"}
WATCH_SECONDS = 5
PAUSE = 0.1
CAUGHT_UP = 60.0
"""Seconds within which every watch has told the present."""
GONE = 410


@dataclass(frozen=True, slots=True)
class Record:
    """One change: `obj` as it was after it, or as it was last, where `gone`."""

    version: int
    kind: str
    obj: Json
    gone: bool = False

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return key_of(self.obj)


@dataclass
class Capture:
    """Records changes from a consistent start until it is closed.

    Attributes:
        start: the objects of each kind as of `version`.
        gaps: times a watch could not be resumed and changes were lost.
    """

    kubeconfig: Path
    start: dict[str, dict[Key, Json]] = field(default_factory=dict)
    version: int = 0
    gaps: int = 0
    _records: list[Record] = field(default_factory=list)
    _now: dict[str, dict[Key, Json]] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Look at everything as of one moment and follow it from there."""
        with Kube.from_kubeconfig(self.kubeconfig) as kube:
            self.version, quotas = listed(kube, "quotas")
            self.start = {"quotas": quotas}
            for kind in PATHS.keys() - {"quotas"}:
                self.start[kind] = listed(kube, kind, at=self.version)[1]
        self._now = {kind: dict(objects) for kind, objects in self.start.items()}
        for kind in PATHS:
            threading.Thread(target=self._follow, args=(kind,), name=f"watch {kind}", daemon=True).start()

    def close(self) -> None:
        """Wait until nothing of the past is missing, then stop."""
        try:
            with Kube.from_kubeconfig(self.kubeconfig) as kube:
                for kind in PATHS:
                    # Listed anew in every look: what went meanwhile need not be there any more.
                    eventually(partial(self._has_all, kube, kind), f"all {kind} were captured", CAUGHT_UP)
        finally:
            self._over.set()

    def records(self) -> list[Record]:
        """All changes so far, in order."""
        return sorted(self._records, key=lambda r: r.version)

    def now(self, kind: str) -> dict[Key, Json]:
        """Objects as they were last told."""
        return dict(self._now[kind])

    def _has_all(self, kube: Kube, kind: str) -> bool:
        there, seen = listed(kube, kind)[1], self.now(kind)
        return all(k in seen and _version(seen[k]) >= _version(o) for k, o in there.items())

    # ------------------------------------------------------------------ one watch

    def _follow(self, kind: str) -> None:
        version = self.version
        with Kube.from_kubeconfig(self.kubeconfig) as kube:
            while not self._over.is_set():
                try:
                    version = self._watch(kube, kind, version)
                except (httpx.HTTPError, KubeError, ValueError) as error:
                    if isinstance(error, KubeError) and error.status == GONE:
                        version = self._begin_anew(kube, kind, version)
                    self._over.wait(PAUSE)

    def _watch(self, kube: Kube, kind: str, version: int) -> int:
        query = {"fieldSelector": FIELDS.get(kind, ""), "allowWatchBookmarks": True}
        try:
            for event in kube.watch(
                PATHS[kind], resource_version=str(version), seconds=WATCH_SECONDS, **query
            ):
                if event["type"] == "ERROR":
                    raise KubeError(event["object"].get("code", 500), "", event["object"].get("message", ""))
                version = _version(event["object"])
                if event["type"] != "BOOKMARK":
                    self._take(Record(version, kind, event["object"], gone=event["type"] == "DELETED"))
        except httpx.HTTPError:
            self._over.wait(
                PAUSE
            )  # what was taken is taken: go on after it, not at once where nobody listens
        return version

    def _begin_anew(self, kube: Kube, kind: str, version: int) -> int:
        try:
            latest, objects = listed(kube, kind)
        except (httpx.HTTPError, KubeError):
            return version
        self.gaps += 1
        for key, old in self.now(kind).items():
            if key not in objects:
                self._take(Record(latest, kind, old, gone=True))
        for key, obj in objects.items():
            if _version(obj) > _version(self._now[kind].get(key)):
                self._take(Record(_version(obj), kind, obj))
        return latest

    def _take(self, record: Record) -> None:
        self._records.append(record)
        if record.gone:
            self._now[record.kind].pop(record.key, None)
        else:
            self._now[record.kind][record.key] = record.obj


def listed(kube: Kube, kind: str, *, at: int = 0, fields: str = "") -> tuple[int, dict[Key, Json]]:
    """Objects of a kind by key, and the version of the list; `at` asks for exactly that version."""
    selector = ",".join(f for f in (FIELDS.get(kind, ""), fields) if f)
    exact = {"resourceVersion": str(at), "resourceVersionMatch": "Exact"} if at else {}
    answer = kube.get(PATHS[kind], fieldSelector=selector, **exact)
    return int(answer["metadata"]["resourceVersion"]), by_key(answer["items"])


def by_key(objects: Iterable[Json]) -> dict[Key, Json]:
    """Objects by namespace and name."""
    return {key_of(o): o for o in objects}


def key_of(obj: Json) -> Key:
    """Namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _version(obj: Json | None) -> int:
    return 0 if obj is None else int(obj["metadata"]["resourceVersion"])
