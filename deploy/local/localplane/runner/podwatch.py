"""The pods bound to the runner's node, kept up to date by a thread with list-and-replace semantics."""

import threading
from typing import Final

import httpx

from localplane.kube import Kube, KubeError
from localplane.runner.podspec import Json

RETRY_SECONDS: Final = 1.0
WATCH_SECONDS: Final = 60


class PodWatch:
    """A thread that lists and watches; `pods` is always one consistent view by uid."""

    def __init__(self, kube: Kube, namespace: str, node: str) -> None:
        self._kube = kube
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._fields = f"spec.nodeName={node}"
        self._pods: dict[str, Json] = {}
        self._lock = threading.Lock()
        self.synced = threading.Event()
        """Set once the first list has come."""

        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pod-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new; a watch that is open ends with the process."""
        self._over.set()

    def pods(self) -> dict[str, Json]:
        """The pods as last seen, by uid."""
        with self._lock:
            return dict(self._pods)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._follow(self._list())
            except (KubeError, httpx.HTTPError, ValueError):
                self._over.wait(RETRY_SECONDS)  # the API server is away: what we know stays true for now

    def _list(self) -> str:
        answer = self._kube.get(self._path, fieldSelector=self._fields)
        with self._lock:
            self._pods = {pod["metadata"]["uid"]: pod for pod in answer["items"]}
        self.synced.set()
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> None:
        events = self._kube.watch(
            self._path, resource_version=version, seconds=WATCH_SECONDS, fieldSelector=self._fields
        )
        for event in events:
            if event["type"] == "ERROR":
                return  # too old: list again, which also finds what was deleted meanwhile
            uid = event["object"]["metadata"]["uid"]
            with self._lock:
                if event["type"] == "DELETED":
                    self._pods.pop(uid, None)
                else:
                    self._pods[uid] = event["object"]
