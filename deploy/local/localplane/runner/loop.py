"""The runner's loop: pods seen → processes moved on → statuses reported, ten times a second."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from localplane.kube import Kube
from localplane.processes import marked
from localplane.runner.frontdoor import FrontDoor
from localplane.runner.node import RunnerNode
from localplane.runner.pod import PodRun
from localplane.runner.podspec import Json, parse_pod
from localplane.runner.podwatch import PodWatch
from localplane.runner.reporter import Reporter
from localplane.runner.scrapetarget import ScrapeTarget
from localplane.runner.settings import RunnerSettings
from localplane.runner.statuses import OWN_CONDITIONS, Conditions, pod_status

TICK_SECONDS: Final = 0.1
THREADS: Final = 8
FAREWELL_SECONDS: Final = 5.0


class Runner:
    """Runs the pods of one node until it is told to stop."""

    def __init__(self, settings: RunnerSettings, kube: Kube) -> None:
        self._settings = settings
        self._kube = kube
        self._watch = PodWatch(kube, settings.namespace, settings.node)
        self._node = RunnerNode(kube, settings.node)
        self._reporter = Reporter(kube)
        self._target = ScrapeTarget(settings.layout)
        self._door = FrontDoor(settings.metrics_port)
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="probe")
        self._runs: dict[str, PodRun] = {}
        self._conditions: dict[str, Conditions] = {}
        self._over = threading.Event()

    def stop(self) -> None:
        """End the loop after its current turn."""
        self._over.set()

    def run(self) -> None:
        """Serve until `stop`; then end the pods' processes."""
        self._sweep()
        for part in (self._node, self._watch, self._reporter):
            part.start()
        ready = self._settings.layout.private / "runner-ready"
        while not self._over.wait(TICK_SECONDS):
            self.turn(time.time())
            if self._node.registered.is_set() and self._watch.synced.is_set() and not ready.exists():
                ready.touch()
        self._farewell()

    def turn(self, now: float) -> None:
        """One turn: take in the pods, move each on, report."""
        if not self._watch.synced.is_set():
            return
        pods = self._watch.pods()
        self._door.open()
        for uid in self._runs.keys() - pods.keys():
            self._drop(uid)
        for uid, pod in pods.items():
            if uid not in self._runs and not _over(pod):
                self._runs[uid] = PodRun(parse_pod(pod), self._settings, self._kube, self._executor)
            if uid in self._runs:
                self._move(self._runs[uid], pod, now)
            elif "deletionTimestamp" in pod["metadata"]:
                self._reporter.remove(parse_pod(pod))
        found = (run.metrics_port for run in self._runs.values())
        ports = tuple(port for port in found if port is not None)
        self._target.set(ports)
        self._door.lead_to(ports)

    def _move(self, run: PodRun, pod: Json, now: float) -> None:
        uid = run.spec.uid
        if "deletionTimestamp" in pod["metadata"]:
            if run.terminate(now):
                self._reporter.remove(run.spec)
                return
        else:
            run.step(now, self._hold(run.spec.name))
        seen = pod.get("status", {}).get("conditions", [])
        others = [row for row in seen if row["type"] not in OWN_CONDITIONS]
        self._reporter.report(run.spec, pod_status(run, self._conditions.setdefault(uid, {}), others, now))

    def _drop(self, uid: str) -> None:
        run = self._runs.pop(uid)
        run.kill()
        run.clean()
        self._conditions.pop(uid, None)
        self._reporter.forget(uid)

    def _hold(self, pod: str) -> str:
        """The signal that holds a pod down: one of its own, or that of all; else empty."""
        for file in (self._settings.layout.pod_hold(pod), self._settings.layout.operator_hold):
            with suppress(OSError):
                return file.read_text().strip()
        return ""

    def _sweep(self) -> None:
        # An earlier runner that was killed left its pods' processes: two operators must never run at once.
        for process in marked(self._settings.layout.root, pods_only=True):
            process.kill()

    def _farewell(self) -> None:
        self._node.stop()
        self._watch.stop()
        self._door.close()
        deadline = time.time() + FAREWELL_SECONDS
        while time.time() < deadline:
            gone = [run.terminate(time.time()) for run in self._runs.values()]
            if all(gone):
                break
            time.sleep(TICK_SECONDS)
        for run in self._runs.values():
            run.kill()
        self._reporter.stop(FAREWELL_SECONDS)


def _over(pod: Json) -> bool:
    """Whether nothing is to be run for a pod that this runner sees for the first time."""
    return (
        pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        or "deletionTimestamp" in pod["metadata"]
    )
