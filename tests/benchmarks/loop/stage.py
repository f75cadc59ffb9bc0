"""The plane of the hour: an enforced pool, an endpoint with its HPA and InferenceSLO, engines on a trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.loop.hour import HOUR, Play
from benchmarks.loop.metricserver import METRIC
from benchmarks.slo.attainment import MODEL, SPEED
from benchmarks.things import API, GROUP, pool, request, share
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import create_nodes, node_manifest
from localplane.processes import wait_until
from support.engines import said
from support.gpupods import pod_spec

Json = dict[str, Any]
TEAM: Final = "loop"
APP: Final = "bench"
KEY: Final = f"{TEAM}/{APP}"
NODE_GPUS: Final = 8
GRACE: Final = 3
"""Seconds of the world in which a replica that is stopped ends what it has."""
READY_SECONDS: Final = 180.0
NEVER: Final = 100_000
"""Requests that an HPA would have to see on a replica: one that only follows its floor."""
PATH: Final = f"/apis/{API}/namespaces/{TEAM}/inferenceslos/{APP}"
HPA_PATH: Final = f"/apis/autoscaling/v2/namespaces/{TEAM}/horizontalpodautoscalers/{APP}"
DEPLOYMENT: Final = f"/apis/apps/v1/namespaces/{TEAM}/deployments/{APP}"


@dataclass(frozen=True, slots=True)
class Script:
    """What is played, and how.

    Attributes:
        policy: who decides on replicas.
        play: the lead and the hour.
        speed: seconds of the engines in one of the world.
        startup: seconds of the engines until a replica is Ready.
        most: replicas.
        running: requests on a replica at which the owner's HPA aims; 0 where it follows its floor alone.
        limits: threshold of each objective, in seconds.
        percent: that is promised of each.
    """

    policy: str
    play: Play
    speed: float
    startup: float
    most: int
    running: int
    limits: Mapping[str, float]
    percent: float

    @property
    def steered(self) -> bool:
        """Whether the operator steers."""
        return not self.running

    def annotations(self) -> dict[str, str]:
        """Of the engine's pods; the world's time is in whole seconds."""
        mix = self.play.hour.mix
        return said(
            engine="vllm",
            model=MODEL,
            load=self.play.name,
            prompt=mix.prompt,
            output=mix.output,
            spread=mix.spread,
            start_after=f"{round(self.startup / self.speed)}s",
        )


class Stage:
    """Everything of the hour that lives in the API server.

    Args:
        cluster: with the operator, and with the HPA's metric.
        kube: an admin connection to it.
        script: what is played.
    """

    def __init__(self, cluster: Cluster, kube: Kube, script: Script) -> None:
        self._cluster = cluster
        self._kube = kube
        self._script = script

    def build(self) -> None:
        """Make it all, and wait until the first replicas are Ready.

        Raises:
            TimeoutError: something did not come.
        """
        gpus = (self._script.most + 1) * SPEED.gpus
        names = [f"{TEAM}-{n}" for n in range(-(-gpus // NODE_GPUS))]
        create_nodes(self._kube, [node_manifest(name, NODE_GPUS, labels={GROUP: TEAM}) for name in names])
        self._kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
        self._kube.create(pool(TEAM, [share(TEAM, gpus)], mode="Enforce", reclaim={"mode": "Observe"}))
        self._kube.create(request(TEAM, APP, gpus))
        self._until(lambda: self._granted() == gpus, f"{gpus} GPUs are granted")
        self.play(float("inf"), self._script.play.write(self._folder()))
        for body in (self._deployment(), self._scaler(), self._promise()):
            self._kube.apply(body)
        self._until(lambda: self.ready() == self._script.play.replicas, "the first replicas are Ready")
        self._until(self._scaled, "the HPA reads its metric")

    def play(self, epoch: float, file: Path | None = None) -> None:
        """Tell the engines when the lead begins (unix time); infinite: not yet."""
        url = f"http://127.0.0.1:{self._cluster.port('exporter')}/control"
        change: Json = {"epoch": min(epoch, 1e10), "speed": self._script.speed}
        if file is not None:
            change["traces"] = str(file)
        httpx.post(url, json=change, trust_env=False).raise_for_status()

    def ready(self) -> int:
        """Replicas that serve."""
        return int(self._kube.get(DEPLOYMENT).get("status", {}).get("readyReplicas", 0))

    # ------------------------------------------------------------------ objects

    def _deployment(self) -> Json:
        labels = {"app": APP}
        spec = {**pod_spec(SPEED.gpus), "terminationGracePeriodSeconds": GRACE}
        template = {"metadata": {"labels": labels, "annotations": self._script.annotations()}, "spec": spec}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": APP, "namespace": TEAM},
            "spec": {
                "replicas": self._script.play.replicas,
                "selector": {"matchLabels": labels},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": template,
            },
        }

    def _scaler(self) -> Json:
        """As the benchmark's HPA: doubled or four more in 30 s, and 300 s before it goes down."""
        script = self._script
        target = {"type": "AverageValue", "averageValue": str(script.running or NEVER)}
        period = max(1, round(30 / script.speed))
        rates = [{"type": "Percent", "value": 100}, {"type": "Pods", "value": 4}]
        wait = 0 if script.steered else round(300 / script.speed)
        down = [{"type": "Percent", "value": 100, "periodSeconds": period}]
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": APP, "namespace": TEAM},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
                "minReplicas": script.play.replicas if script.steered else 1,
                "maxReplicas": script.most,
                "metrics": [{"type": "External", "external": {"metric": {"name": METRIC}, "target": target}}],
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 0,
                        "policies": [{**rate, "periodSeconds": period} for rate in rates],
                    },
                    "scaleDown": {"stabilizationWindowSeconds": wait, "policies": down},
                },
            },
        }

    def _promise(self) -> Json:
        script = self._script
        objectives = [
            {"sli": sli, "threshold": f"{round(limit * 1000)}ms", "percent": script.percent}
            for sli, limit in script.limits.items()
        ]
        return {
            "apiVersion": API,
            "kind": "InferenceSLO",
            "metadata": {"name": APP, "namespace": TEAM},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
                "objectives": objectives,
                "window": f"{window(script.speed):.0f}s",
                "scaling": {"minReplicas": 1, "hpa": "Adopt" if script.steered else "Advise"},
            },
        }

    # ------------------------------------------------------------------ waiting

    def _granted(self) -> int:
        found = self._kube.find(f"/apis/{API}/namespaces/{TEAM}/capacityrequests/{APP}") or {}
        quota = self._kube.find(f"/api/v1/namespaces/{TEAM}/resourcequotas/gpupool") or {}
        hard = quota.get("status", {}).get("hard", {}).get("requests.nvidia.com/gpu", 0)
        return min(int(found.get("status", {}).get("granted", 0)), int(hard))

    def _scaled(self) -> bool:
        rows = self._kube.get(HPA_PATH).get("status", {}).get("conditions", [])
        return any(row["type"] == "ScalingActive" and row["status"] == "True" for row in rows)

    def _folder(self) -> Path:
        return self._cluster.layout.private

    def _until(self, ask: Any, what: str) -> None:
        if not wait_until(ask, READY_SECONDS, every=0.2):
            raise TimeoutError(f"not within {READY_SECONDS:.0f} s: {what}; {self._kube.find(PATH)}")


def window(speed: float) -> float:
    """Seconds of the world over which the promise holds: the hour, or as few as an InferenceSLO may say."""
    return max(300.0, HOUR / speed)
