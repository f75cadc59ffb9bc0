"""The policies about everybody outside the pools: whom they refuse, and whom they must not."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from gpupool.applier.policies.outside_probe import restricted_pod
from gpupool.applier.policies.outsider_policies import OutsiderSpec, outsider_policies
from gpupool.applier.policies.outsider_rules import DEVICES_ENV
from gpupool.model.outsiders import OutsiderPool, SetOutsiders
from integration.isolation.asking import (
    BREAK_GLASS,
    GPU,
    PROBE_NAMESPACE,
    create,
    pod,
    refusal,
    unique,
    wait_for,
    warnings,
)
from integration.isolation.rig import Pool, team_namespace
from integration.isolation.test_warnings import _workloads
from localplane.kube import KubeError
from support.marks import ADMISSION, NODE_LABEL, TAINT_KEY, two_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from localplane.kube import Kube

Json = dict[str, Any]
WILD: Json = {"tolerations": [{"operator": "Exists"}]}


class Cordon:
    """The policies of one pool about outsiders, written by hand."""

    def __init__(self, kube: Kube, pool: Pool, exempt: str) -> None:
        self._kube = kube
        self._pool = pool
        self.exempt = exempt

    def draw(
        self, *, deny: bool = True, cpu_pods: bool = False, homes: Mapping[str, str] | None = None
    ) -> None:
        """Write them and wait until they act."""
        pool = self._pool
        facts = OutsiderPool(pool.name, pool.spec.uid, (GPU,), cpu_pods=cpu_pods, counts=True)
        asked = SetOutsiders(deny=deny, pools=(facts,), homes=homes or {})
        spec = OutsiderSpec(asked, (self.exempt,), BREAK_GLASS, PROBE_NAMESPACE)
        for body in outsider_policies(spec):
            self._kube.apply(body)
        trial = pod("trial", **WILD)
        wait_for(lambda: self._acts(trial, deny=deny), "the policies to act")
        (template, *_) = _workloads(trial["spec"])
        wait_for(lambda: bool(_says(self._kube, "default", template)), "the one about templates to act")
        wait_for(self._last_acts, "the last one written to act")

    def _last_acts(self) -> bool:
        env = {"env": [{"name": DEVICES_ENV, "value": "all"}]}
        plays = {"gpupool.dev/probe": self._pool.name}
        probe = restricted_pod(PROBE_NAMESPACE, "probe", plays, container=env)
        return DEVICES_ENV in _failure(lambda: self._kube.create(probe, dry_run=True))

    def _acts(self, trial: Json, *, deny: bool) -> bool:
        try:
            return bool(warnings(self._kube, "default", trial)) and not deny
        except AssertionError as error:
            return deny and "without a key" in str(error)

    def lift(self) -> None:
        """Remove them and wait until they act no more."""
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            for each in self._kube.list(f"{ADMISSION}/{kind}", labels="gpupool.dev/pool="):
                self._kube.delete(f"{ADMISSION}/{kind}/{each['metadata']['name']}")
        trial = pod("trial", **WILD)
        wait_for(lambda: _says(self._kube, "default", trial) == [], "the policies to be gone")


def _says(kube: Kube, namespace: str, manifest: Json) -> list[str]:
    try:
        return warnings(kube, namespace, manifest)
    except AssertionError:
        return ["refused"]


@pytest.fixture
def pool(pools: Callable[..., Pool]) -> Pool:
    return pools(mutate=False)


@pytest.fixture
def cordon(kube: Kube, pool: Pool) -> Iterator[Cordon]:
    drawn = Cordon(kube, pool, team_namespace(pool, labelled=False))
    yield drawn
    drawn.lift()


def test_the_type_checker_has_no_warning(kube: Kube, cordon: Cordon) -> None:
    cordon.draw(homes={"somewhere": "nobodys"})

    def checked() -> bool:
        found = kube.list(f"{ADMISSION}/validatingadmissionpolicies", labels="gpupool.dev/pool=")
        return len(found) == 3 and all("typeChecking" in p.get("status", {}) for p in found)

    wait_for(checked, "the type checker")
    for policy in kube.list(f"{ADMISSION}/validatingadmissionpolicies", labels="gpupool.dev/pool="):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]


def test_the_control_plane_and_people_in_an_emergency_are_never_refused(
    kube: Kube, pool: Pool, cordon: Cordon, as_user: Callable[..., Kube]
) -> None:
    outside = team_namespace(pool, labelled=False)
    cordon.draw()
    debug = pod("debug", nodeName=pool.nodes[0], hostPID=True, **WILD)
    greedy = pod("greedy", 1, **WILD)
    for namespace in ("kube-system", cordon.exempt):
        wait_for(
            partial(kube.exists, f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), "the account"
        )
        for manifest in (debug, greedy):
            create(kube, namespace, manifest, dry_run=True)
    rescuer = as_user("rescuer", ["system:masters", BREAK_GLASS])
    create(rescuer, outside, debug, dry_run=True)
    node = f"system:node:{pool.nodes[0]}"
    kubelet = as_user(node, ["system:nodes", "system:masters"])
    mirror = {
        **pod("static"),
        "metadata": {"name": "static", "annotations": {"kubernetes.io/config.mirror": "x"}},
    }
    mirror["spec"] |= {"nodeName": pool.nodes[0], **WILD}
    error = _failure(lambda: create(kubelet, outside, mirror, dry_run=True))
    assert "gpupool" not in error, error
    daemons = as_user("system:serviceaccount:kube-system:daemon-set-controller", ["system:masters"])
    create(daemons, outside, pod("agent", **WILD), dry_run=True)
    for bad in (greedy, debug):
        assert refusal(partial(create, daemons, outside, bad)).status == 403


def _failure(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except KubeError as error:
        return error.message
    return ""


def test_what_was_let_in_before_can_be_updated_and_ended(kube: Kube, pool: Pool, cordon: Cordon) -> None:
    outside = team_namespace(pool, labelled=False)
    old = pod("old", 1, nodeSelector={NODE_LABEL: "another"}, **WILD)
    old["metadata"]["finalizers"] = ["example.com/tracking"]
    create(kube, outside, old)
    cordon.draw()
    path = f"/api/v1/namespaces/{outside}/pods/old"
    kube.patch(path, {"metadata": {"labels": {"more": "labels"}}})
    more = [*kube.get(path)["spec"]["tolerations"], {"key": "example.com/soon", "operator": "Exists"}]
    kube.patch(path, {"spec": {"tolerations": more}})
    kube.patch(path, {"metadata": {"finalizers": None}})
    kube.delete(path, grace_seconds=0)
    wait_for(lambda: not kube.exists(path), "the old pod to be gone")


def test_templates_of_every_kind_are_told_at_apply_and_accepted(
    kube: Kube, pool: Pool, cordon: Cordon
) -> None:
    outside = team_namespace(pool, labelled=False)
    cordon.draw()
    wild, greedy, plain = (pod("x", **WILD), pod("x", 1), pod("x"))
    for told, asking, silent in zip(
        *(_workloads(copy.deepcopy(p["spec"])) for p in (wild, greedy, plain)), strict=True
    ):
        # A DaemonSet without GPUs may tolerate what it wants.
        expected = 0 if told["kind"] == "DaemonSet" else 1
        assert len(warnings(kube, outside, told)) == expected, told["kind"]
        (line,) = warnings(kube, outside, asking)
        assert "no share of it lists this namespace" in line
        assert warnings(kube, outside, silent) == []


def test_where_nothing_is_refused_yet_people_are_warned(kube: Kube, pool: Pool, cordon: Cordon) -> None:
    outside = team_namespace(pool, labelled=False)
    cordon.draw(deny=False)
    (line,) = warnings(kube, outside, pod("greedy", 1))
    assert "no share of it lists this namespace" in line
    probe = restricted_pod(PROBE_NAMESPACE, "probe", {"gpupool.dev/probe": ""}, placement=WILD)
    denied = partial(_failure, lambda: kube.create(probe, dry_run=True))
    wait_for(lambda: "without a key" in denied(), "the operator's own attempts to be denied")


def test_a_namespace_that_is_only_looked_at_keeps_its_gpus(kube: Kube, pool: Pool, cordon: Cordon) -> None:
    home = team_namespace(pool, labelled=False)
    cordon.draw(homes={home: pool.name})
    for fine in (pod("bare", 1), pod("placed", 1, **two_lines(pool.name))):
        create(kube, home, fine, dry_run=True)
    for bad in (pod("named", 1, nodeName="x"), pod("wild", 1, **WILD), pod("cpu", **two_lines(pool.name))):
        assert refusal(partial(create, kube, home, bad)).status == 403


def test_a_pool_may_open_its_nodes_to_its_own_pods_without_gpus(
    kube: Kube, pool: Pool, cordon: Cordon
) -> None:
    inside, outside = team_namespace(pool), team_namespace(pool, labelled=False)
    cordon.draw(cpu_pods=True)
    lines = two_lines(pool.name)
    create(kube, inside, pod("cpu", **lines), dry_run=True)
    assert refusal(lambda: create(kube, outside, pod("cpu", **lines))).status == 403
    other = {"tolerations": [{"key": TAINT_KEY, "value": "another", "effect": "NoSchedule"}]}
    for bad in (WILD, other, {"nodeSelector": {NODE_LABEL: "another"}}):
        assert refusal(partial(create, kube, inside, pod("cpu", **bad))).status == 403


def test_a_pod_with_many_containers_tolerations_and_terms_is_judged_within_the_servers_budget(
    kube: Kube, pool: Pool, cordon: Cordon
) -> None:
    outside = team_namespace(pool, labelled=False)
    cordon.draw(homes={unique("home"): pool.name for _ in range(300)})
    wide = pod("wide")
    (main,) = wide["spec"]["containers"]
    env = [{"name": f"V{i}", "value": "x"} for i in range(100)]
    wide["spec"]["containers"] = [{**main, "name": f"c{i}", "env": env} for i in range(60)]
    keys = [{"key": f"example.com/key-{i}", "operator": "Exists"} for i in range(200)]
    expressions = [{"key": f"example.com/key-{i}", "operator": "Exists"} for i in range(20)]
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions} for _ in range(20)]}
    wide["spec"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    wide["spec"]["tolerations"] = keys
    create(kube, outside, wide, dry_run=True)
    wide["spec"]["tolerations"] = [*keys, {"operator": "Exists"}]
    assert "without a key" in refusal(lambda: create(kube, outside, wide)).message
