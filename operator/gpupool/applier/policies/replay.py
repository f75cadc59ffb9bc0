"""A live pod template as a dry-run pod of the probe namespace.

Only what the pool's policies judge is taken from the template. Everything that the probe namespace could
judge otherwise than the template's own (Pod Security, ServiceAccount, limits of CPU and memory) is ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpupool.applier.policies.probe import RESTRICTED, RESTRICTED_CONTAINER
from gpupool.applier.policies.spec import PROBE_INJECT_LABEL, PROBE_LABEL, PoolPolicySpec
from gpupool.model.marks import MANAGED, NODE_LABEL, TAINT

Json = dict[str, Any]
IMAGE = "gpupool.invalid/rehearsal"


def replay_pod(spec: PoolPolicySpec, template: str, *, loose: bool = False) -> Json:
    """The Pod to create as a dry run.

    Args:
        spec: the pool whose policies judge it.
        template: the judged part of a pod template, as the collector keeps it.
        loose: no controller makes the next such pod. What injection would add is then added where nothing
            injects: nobody can mend a pod that runs, and whoever makes the next one is told.
    """
    inject = {PROBE_INJECT_LABEL: "true"} if spec.mutate else {}
    pod = outsider_replay(spec.probe_namespace, template, plays=spec.pool, labels=inject)
    return pod | {"spec": _placed(spec, pod["spec"])} if loose and not spec.mutate else pod


def outsider_replay(
    probe_namespace: str, template: str, *, plays: str = "", labels: Mapping[str, str] | None = None
) -> Json:
    """The Pod to create as a dry run, as if its namespace were one of the pool `plays`; empty: of none."""
    kept = json.loads(template)
    body = {**kept["spec"], **RESTRICTED}
    for part in ("initContainers", "containers"):
        if part in body:
            body[part] = [{**c, "image": IMAGE, **RESTRICTED_CONTAINER} for c in body[part]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "rehearsal-",
            "namespace": probe_namespace,
            "labels": {**kept["labels"], **MANAGED, PROBE_LABEL: plays, **(labels or {})},
        },
        "spec": body,
    }


def _placed(spec: PoolPolicySpec, body: Json) -> Json:
    """The spec with the two lines of the pool."""
    toleration = {"key": TAINT, "operator": "Equal", "value": spec.pool, "effect": "NoSchedule"}
    present = body.get("tolerations", [])
    return {
        **body,
        "nodeSelector": {**body.get("nodeSelector", {}), NODE_LABEL: spec.pool},
        "tolerations": present if toleration in present else [*present, toleration],
    }
