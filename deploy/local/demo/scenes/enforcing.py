"""Enforce: walls stand as data in the API server, with the operator alive and dead."""

import re
import time
from typing import Final

from demo.reading import Look, Reading, facts
from demo.scenes.asking import nlp_waits
from demo.scenes.opening import cpu_running
from demo.stage import MANIFESTS, Stage, uids
from localplane.processes import marked

GPU_WORK: Final = (("vision-lab", "train-sam"), ("chat-prod", "chat"), ("search-prod", "ranker"))
BYPASSES: Final = (
    ("06-bypass-node-name.yaml", "past the scheduler: spec.nodeName", "spec.nodeName"),
    ("06-bypass-toleration.yaml", "the toleration of production's taint", "toleration"),
    ("06-bypass-affinity.yaml", "affinity to production's nodes", "affinity"),
)
AS_VERA: Final = "--as=vera"


def enforce(stage: Stage) -> None:
    """One field; what runs keeps running."""
    stage.narrator.scene(
        "Enforce: one field, and what runs keeps running",
        "Quotas first, then labels, taints and admission policies; no webhook, nothing in the pods' way.",
    )
    before = uids(_gpu_pods(stage))
    pools = ("lab", "production", "serving")
    stage.kubectl("patch", "gpool", *pools, "--type=merge", "-p", '{"spec":{"mode":"Enforce"}}')
    for pool in pools:
        stage.expect(
            f"{pool}: walls written, read back and probed",
            facts(stage.conditions, pool, Enforced="True"),
            90,
        )
    walls = {"vision-lab": 64, "nlp-lab": 0, "chat-prod": 8, "search-prod": 8}
    stage.expect(
        "a quota per namespace",
        facts(
            lambda: {n.partition("-")[0]: stage.quota(n) for n in walls}, vision=64, nlp=0, chat=8, search=8
        ),
    )
    stage.expect("every GPU node carries its pool's taint", facts(_taints, stage, lab=10, production=2))
    stage.expect("no GPU pod was touched", _same_pods(stage, before))
    stage.expect("no CPU pod was touched", facts(cpu_running, stage, running=6, of=6))
    stage.say("A well-behaved GPU pod of nlp, which was granted nothing yet:")
    stage.narrator.command(f"kubectl apply -f {MANIFESTS}/06-gpu-pod-nlp.yaml")
    stage.expect("the quota stops it", _denied(stage, "06-gpu-pod-nlp.yaml", "exceeded quota: gpupool"))


def bypasses(stage: Stage) -> None:
    """Ways into another pool, tried by a namespace admin who has quota left."""
    stage.narrator.scene(
        "Bypasses are denied",
        "Vera administers vision-lab, has 44 GPUs of quota left, and wants production's H200s instead.",
    )
    for manifest, what, part in BYPASSES:
        stage.narrator.command(f"kubectl apply {AS_VERA} -f {MANIFESTS}/{manifest}")
        stage.expect(what, _denied(stage, manifest, part, AS_VERA))
    change = '{"spec":{"hard":{"requests.nvidia.com/gpu":"80"}}}'
    arguments = ("patch", "resourcequota", "gpupool", "-n", "vision-lab", "--type=merge", "-p", change)
    stage.narrator.command(f"kubectl {AS_VERA} {' '.join(arguments[:-1])} '{change}'")
    stage.expect("a higher quota, written by herself", _refused(stage, "gpupool", *arguments, AS_VERA))


def operator_killed(stage: Stage) -> None:
    """Everything holds without a process of ours."""
    stage.narrator.scene(
        "The operator is killed, and isolation still holds",
        "The walls are objects of the API server. No process of gpupool stands in the pods' way.",
    )
    stage.narrator.command("make stop PART=operator SIGNAL=KILL")
    stage.cluster.stop("operator", "KILL")
    stage.expect("no process of the operator is left", facts(_processes, stage, processes=0))
    metrics = 'up{job="gpupool"}'
    stage.expect(
        "Prometheus cannot scrape it any more",
        facts(lambda: {"up": stage.prometheus(metrics) or 0}, up=0),
    )
    for manifest, what, part in BYPASSES:
        stage.expect(f"denied: {what}", _briefly(_denied(stage, manifest, part, AS_VERA)))
    quota = _denied(stage, "06-gpu-pod-nlp.yaml", "exceeded quota: gpupool")
    stage.expect("denied: nlp's pod without a grant", _briefly(quota))
    stage.apply("07-while-dead.yaml")
    stage.expect("a CPU pod starts", facts(_phase, stage, "vision-lab", "report", phase="Running"))
    stage.expect(
        "so does a GPU pod inside search's grant, at home",
        facts(_phase, stage, "search-prod", "reindex", phase="Running", pool="production"),
    )
    again = time.time()
    stage.narrator.command("make start PART=operator")
    stage.cluster.start("operator")
    stage.expect("it is back, and judges the pool again", _judged_since(stage, again), 30)
    stage.expect(
        "it decides what it decided before",
        facts(stage.request, "vision-lab", "train-sam", phase="Granted", granted=64, allowance=64),
    )
    nlp_waits(stage)


def _denied(stage: Stage, manifest: str, part: str, *flags: str) -> Look:
    return _refused(stage, part, "apply", *flags, "-f", f"{MANIFESTS}/{manifest}")


def _refused(stage: Stage, part: str, *arguments: str) -> Look:
    """A look that runs a command which must fail with a text that contains `part`."""

    def look() -> Reading:
        answer = stage.refusal(*arguments)
        return Reading(_essence(answer) or "it was let through", part in answer)

    return look


def _judged_since(stage: Stage, moment: float) -> Look:
    """A cycle of pool lab that ended after a moment (seconds since the epoch), as Prometheus tells it."""

    def look() -> Reading:
        last = stage.prometheus('gpupool_last_cycle_timestamp_seconds{pool="lab"}')
        if last is None:
            return Reading("no series", holds=False)
        return Reading(f"last cycle {last - moment:.1f} s after the start", last > moment)

    return look


def _briefly(look: Look) -> Look:
    """The same look, shown in one clause: the whole answer was shown before."""

    def brief() -> Reading:
        reading = look()
        first, second, *_ = [*re.split(r"[;:,] ", reading.text, maxsplit=2), ""]
        return Reading(f"{first}: {second}" if first.startswith("exceeded") else first, reading.holds)

    return brief


def _essence(answer: str) -> str:
    """The part of a refusal that people need: without the file, the object and the policy's names."""
    for sign in ("denied request: ", "is forbidden: "):
        answer = answer.rpartition(sign)[2]
    return answer


def _same_pods(stage: Stage, before: frozenset[str]) -> Look:
    def look() -> Reading:
        now = uids(_gpu_pods(stage))
        return Reading(f"{len(now & before)} of {len(before)} GPU pods are the same", now == before)

    return look


def _gpu_pods(stage: Stage) -> list[dict[str, object]]:
    return [pod for namespace, app in GPU_WORK for pod in stage.pods(namespace, app)]


def _taints(stage: Stage) -> dict[str, int]:
    nodes = stage.kube.list("/api/v1/nodes")
    values = [
        t["value"] for n in nodes for t in n["spec"].get("taints", []) if t["key"] == "gpupool.dev/pool"
    ]
    return {pool: values.count(pool) for pool in ("lab", "production")}


def _processes(stage: Stage) -> dict[str, int]:
    return {"processes": len(list(marked(stage.cluster.layout.root, pods_only=True)))}


def _phase(stage: Stage, namespace: str, name: str) -> dict[str, str]:
    pod = stage.kube.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    node = stage.kube.get(f"/api/v1/nodes/{pod['spec']['nodeName']}") if "nodeName" in pod["spec"] else {}
    labels = node.get("metadata", {}).get("labels", {})
    return {
        "phase": pod["status"].get("phase", ""),
        "node": pod["spec"].get("nodeName", ""),
        "pool": labels.get("gpupool.dev.node-restriction.kubernetes.io/pool", "none"),
    }
