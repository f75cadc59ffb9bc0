"""The endpoints of the confusion table on a plane: made, watched, scaled, and how their users fare."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from integration.slo.cases import CASES, Case
from integration.slo.conftest import API
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.engines import said
from support.gpupods import pod_spec
from support.plane import prometheus

Json = dict[str, Any]
FIRST_TOKENS = "vllm:time_to_first_token_seconds"


class Word(NamedTuple):
    """What is said of an endpoint: the cause, and whether replicas help."""

    cause: str
    helps: str


@dataclass(frozen=True)
class Street:
    """All endpoints, in one namespace on nodes of their own."""

    plane: Cluster
    kube: Kube
    home: str
    loads: dict[str, Json] = field(default_factory=dict)

    def build(self) -> None:
        """Make them."""
        for name, case in CASES.items():
            self.kube.apply(self._deployment(name, case))
            self.kube.apply(self._promised(name, case))

    def scale(self, name: str, replicas: int) -> None:
        """Another number of replicas of one."""
        path = f"/apis/apps/v1/namespaces/{self.home}/deployments/{name}"
        self.kube.patch(path, {"spec": {"replicas": replicas}})

    def load(self, **loads: float) -> None:
        """Requests a second at some, while their pods run on; `load()` puts all back."""
        body = {"engines": {f"{self.home}/{name}": {"load": load} for name, load in loads.items()}}
        url = f"http://127.0.0.1:{self.plane.port('exporter')}/control"
        httpx.post(url, json=body, trust_env=False).raise_for_status()

    def statuses(self) -> dict[str, Json]:
        """What is said of each."""
        found = self.kube.list(f"{API}/namespaces/{self.home}/inferenceslos")
        return {slo["metadata"]["name"]: dict(slo.get("status", {})) for slo in found}

    def words(self) -> dict[str, Word]:
        """Cause and answer of each."""
        found = {name: status.get("diagnosis", {}) for name, status in self.statuses().items()}
        return {n: Word(d.get("cause", "absent"), d.get("replicasHelp", "absent")) for n, d in found.items()}

    def ready(self, replicas: int) -> set[str]:
        """Those with so many Ready pods."""
        return {name for name, status in self.statuses().items() if status.get("readyReplicas") == replicas}

    def watched(self, seconds: float) -> dict[str, Counter[Word]]:
        """How often each word is said of each endpoint."""
        heard: dict[str, Counter[Word]] = {name: Counter() for name in CASES}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name, word in self.words().items():
                heard[name][word] += 1
            time.sleep(2)
        return heard

    def in_time(self, window: str, bound: str = "0.5") -> dict[str, float]:
        """Percent of the first tokens that came in time, by endpoint, as the engines counted them."""
        where = f'namespace="{self.home}"'
        app = '"app", "$1", "pod", "(.*)-[a-z0-9]+-[a-z0-9]+"'
        good = f'increase({FIRST_TOKENS}_bucket{{{where},le="{bound}"}}[{window}])'
        every = f"increase({FIRST_TOKENS}_count{{{where}}}[{window}])"
        good, every = (f"sum by (app) (label_replace({part}, {app}))" for part in (good, every))
        return {labels["app"]: value for labels, value in prometheus(self.plane, f"100 * {good} / {every}")}

    def _deployment(self, name: str, case: Case) -> Json:
        """Of the case's engine, each pod with a limit of CPU."""
        labels = {"app": name}
        spec = pod_spec(1, nodeSelector={"street": str(os.getpid())}, terminationGracePeriodSeconds=1)
        spec["containers"][0]["resources"]["limits"]["cpu"] = "2"
        template = {
            "metadata": {"labels": labels, "annotations": said(**{"start_after": "1s", **case.engine})},
            "spec": spec,
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.home},
            "spec": {"replicas": case.replicas, "selector": {"matchLabels": labels}, "template": template},
        }

    def _promised(self, name: str, case: Case) -> Json:
        """The InferenceSLO of a case."""
        return {
            "apiVersion": "gpupool.dev/v1alpha1",
            "kind": "InferenceSLO",
            "metadata": {"name": name, "namespace": self.home},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "objectives": list(case.objectives),
                "window": "10m",
                "minEvents": 20,
            },
        }
