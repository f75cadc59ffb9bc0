"""From nothing to running teams, and the first look at them: six lines, mode Observe."""

from typing import Final

from demo.reading import facts
from demo.stage import Stage
from localplane import release
from localplane.nodes import GROUP, create_nodes, node_manifest
from localplane.nodetable import is_ready
from localplane.progress import step

NODES: Final = (
    *(node_manifest(f"lab-{n}", 8, "NVIDIA-H100-80GB-HBM3", {GROUP: "lab"}) for n in range(1, 11)),
    *(node_manifest(f"production-{n}", 8, "NVIDIA-H200", {GROUP: "production"}) for n in (1, 2)),
    *(node_manifest(f"serving-{n}", 8, "NVIDIA-H100-80GB-HBM3", {GROUP: "serving"}) for n in range(1, 9)),
    *(node_manifest(f"cpu-{n}", 0) for n in (1, 2)),
)
CHART_VALUES: Final = {"cycleInterval": 1, "evaluationWindow": "10s", "metricsApi": {"enabled": True}}
"""Pools and endpoints are looked at every second, so that seconds can stand for hours; the metric that an HPA
scales on is served."""

CPU_SERVICES: Final = {
    "vision-lab": ("labelling", 2),
    "nlp-lab": ("tokenizer", 2),
    "chat-prod": ("gateway", 2),
}


def from_nothing(stage: Stage) -> None:
    """Control plane, nodes and operator; the only scene that is told before there is anything to read."""
    stage.narrator.scene(
        "From nothing: a control plane, fake GPU nodes, Prometheus, the operator",
        "A real etcd, API server, controller manager, scheduler and Prometheus; the chart by real helm.",
    )
    with step("control plane") as progress:
        stage.cluster.up(on_progress=lambda text: setattr(progress, "detail", text))
        progress.result = "ready"
    create_nodes(stage.kube, NODES)
    release.install(stage.cluster, CHART_VALUES)
    stage.expect("10 lab, 2 production, 8 serving and 2 CPU nodes", facts(_nodes, stage, ready=22, GPUs=160))
    targets = 'count(up{job=~"dcgm-exporter|gpupool"} == 1)'
    stage.expect(
        "Prometheus scrapes the exporter and both replicas",
        facts(lambda: {"up": stage.prometheus(targets)}, up=3),
    )


def running_teams(stage: Stage) -> None:
    """Work that runs before anything is governed."""
    stage.narrator.scene(
        "Four teams work, and nobody governs anything",
        "vision trains in the lab, chat and search serve in production, nlp has only CPU services so far.",
    )
    stage.apply("01-teams.yaml")
    stage.apply("02-workloads.yaml")
    for namespace, app, pods, gpus in (
        ("vision-lab", "train-sam", 5, 20),
        ("chat-prod", "chat", 2, 8),
        ("search-prod", "ranker", 3, 6),
    ):
        look = facts(stage.running, namespace, app, pods_running=pods, GPUs=gpus)
        stage.expect(f"{namespace} runs {app}", look)
    stage.expect("the CPU services run", facts(cpu_running, stage, running=6, of=6))


def six_lines(stage: Stage) -> None:
    """The first manifest shows the truth and touches nothing."""
    stage.narrator.scene(
        "Six lines, mode Observe: the truth at once",
        "Two pools that only name their nodes. Nobody has declared a team or a share yet.",
    )
    stage.apply("03-pools-six-lines.yaml")
    stage.expect(
        "lab: what there is, is held, is busy",
        facts(stage.counts, "lab", usable=80, held=20, busy=20),
    )
    stage.expect(
        "production: the same",
        facts(stage.counts, "production", usable=16, held=14, busy=14),
    )
    for pool, namespace, gpus in (
        ("lab", "vision-lab", 20),
        ("production", "chat-prod", 8),
        ("production", "search-prod", 6),
    ):
        look = facts(stage.share, pool, namespace, held=gpus, busy=gpus, declared=False)
        stage.expect(f"a row for {namespace}, not declared", look)
    stage.expect(
        "and nothing was written",
        facts(written, stage, quotas=0, labels=0, taints=0, policies=0),
    )


def cpu_running(stage: Stage) -> dict[str, int]:
    """CPU service pods that run, of those that should."""
    found = [stage.running(namespace, app)["pods_running"] for namespace, (app, _) in CPU_SERVICES.items()]
    return {"running": sum(found), "of": sum(count for _, count in CPU_SERVICES.values())}


def written(stage: Stage) -> dict[str, int]:
    """What gpupool has written outside its own status."""
    nodes = stage.kube.list("/api/v1/nodes")
    namespaces = stage.kube.list("/api/v1/namespaces")
    quotas = stage.kube.list("/api/v1/resourcequotas")
    policies = stage.kube.list(
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", labels="gpupool.dev/pool"
    )
    labels = [k for o in [*nodes, *namespaces] for k in o["metadata"].get("labels", {}) if "gpupool.dev" in k]
    taints = [t for n in nodes for t in n["spec"].get("taints", []) if t["key"] == "gpupool.dev/pool"]
    return {
        "quotas": len(quotas),
        "labels": len([k for k in labels if k.endswith("/pool")]),
        "taints": len(taints),
        "policies": len(policies),
    }


def _nodes(stage: Stage) -> dict[str, int]:
    names = [n["metadata"]["name"] for n in NODES]
    nodes = [n for n in stage.kube.list("/api/v1/nodes") if n["metadata"]["name"] in names]
    gpus = sum(int(n["status"]["allocatable"].get("nvidia.com/gpu", 0)) for n in nodes)
    return {"ready": sum(is_ready(n) for n in nodes), "GPUs": gpus}
