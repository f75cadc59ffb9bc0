"""What is certain of templates before any policy stands: three placements of pods with the pool's GPUs."""

import json
from typing import Any

import pytest

from gpupool.model.enforcement import Replay
from gpupool.model.marks import TAINT
from gpupool.model.objects import ObjectRef
from gpupool.model.world import Template
from gpupool.policy.foretold import foretold, objection
from support.builders import GPU, a_pool

POOL = a_pool()


def asks(resource: str = GPU, part: str = "limits", count: str = "1") -> dict[str, Any]:
    return {"name": "main", "resources": {part: {resource: count}}}


def template(name: str = "train", **spec: Any) -> Template:
    spec = {"containers": [asks()]} | spec
    return Template(
        "vision", ObjectRef("apps/v1", "Deployment", name), json.dumps({"labels": {}, "spec": spec})
    )


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"nodeName": "node-1"}, 'spec.nodeName is "node-1"'),
        ({"tolerations": [{"operator": "Exists"}]}, "without a key"),
        ({"tolerations": [{"key": "a", "operator": "Exists"}, {"key": "", "operator": "Exists"}]}, "without"),
        ({"tolerations": [{"key": TAINT, "operator": "Exists"}]}, f"another value for key {TAINT}"),
        ({"tolerations": [{"key": TAINT, "value": "other"}]}, "only lab, with operator Equal"),
        ({"tolerations": [{"key": TAINT, "operator": "Equal", "value": "lab"}]}, ""),
        ({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}, ""),
        ({"nodeSelector": {"a": "b"}}, ""),
    ],
)
def test_a_placement_that_every_pool_denies_is_named(spec: dict[str, Any], says: str) -> None:
    said = objection(POOL, template(**spec))
    assert said == "" if not says else says in said


@pytest.mark.parametrize(
    ("containers", "judged"),
    [
        ({"containers": [asks()]}, True),
        ({"containers": [asks(part="requests")]}, True),
        ({"containers": [{"name": "a", "resources": {}}], "initContainers": [asks()]}, True),
        ({"containers": [asks("rdma/hca")]}, False),
        ({"containers": [asks(count="0")]}, False),
        ({"initContainers": [], "containers": [], "resourceClaims": [{"name": "gpu"}]}, False),
    ],
)
def test_only_who_asks_for_gpus_of_the_pool_is_judged(containers: dict[str, Any], *, judged: bool) -> None:
    assert bool(objection(POOL, template(nodeName="node-1", **containers))) is judged


def test_who_would_be_denied_is_listed_once_by_name() -> None:
    bad = {"nodeName": "node-1"}
    found = foretold(
        POOL, [template("b", **bad), template("fine"), template("a", **bad), template("b", **bad)]
    )
    assert [str(r) for r in found] == ["vision Deployment/a", "vision Deployment/b"]
    assert found[0] == Replay("vision", "Deployment/a", objection(POOL, template(**bad)))
