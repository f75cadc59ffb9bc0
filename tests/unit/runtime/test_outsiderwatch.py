"""Turn by turn: nothing before every pool is known, then written, proved, and told to the pools."""

from dataclasses import replace
from typing import Any, cast

import pytest

from gpupool.applier.outsiderset import OutsiderSet
from gpupool.applier.policyset import PolicySet
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.outsiders import OutsiderFacts, Outsiders, SetOutsiders
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Mode, Pool
from gpupool.model.world import NamespaceFacts, Template, World
from gpupool.policy.membership import resolve
from gpupool.runtime import outsiderwatch
from gpupool.runtime.outsiderwatch import OutsiderWatch
from support.builders import GPU, NOW, a_pool, a_share

ENFORCED = SetPolicies(enforce=True, recommend=(), nodes_labelled=True, mutate=False)
OBSERVED = SetPolicies(enforce=False, recommend=(), nodes_labelled=True, mutate=False)


class Cluster:
    """What is written, what probes find, what the pools have asked for."""

    probe_namespace = "gpupool-probe"

    def __init__(self, *, denies: bool = False) -> None:
        self.refusals: dict[str, str] = {}
        self.tried: list[str] = []
        self.written: list[SetOutsiders | None] = []
        self.open: tuple[str, ...] = ()
        self.probed = 0
        self.kept: tuple[list[str], list[str]] = ([], [])
        self.modes: dict[str, SetPolicies] = {}
        self.bound_pools: set[str] = set()
        self.watch = OutsiderWatch(
            cast("OutsiderSet", self), cast("PolicySet", self), Outsiders.AUTO, lambda: denies
        )

    def denies(self) -> bool:
        """What was last written refuses."""
        written = self.written[-1]
        return written is not None and written.deny

    async def rehearse(self, template: Template) -> str:
        self.tried.append(template.text)
        return self.refusals.get(template.text, "")

    def asked(self, pool: Pool) -> SetPolicies | None:
        return self.modes.get(pool.name)

    def bound(self, pool: str) -> bool:
        return pool in self.bound_pools

    def current(self, asked: SetOutsiders | None) -> bool:
        return self.written[-1:] == [asked]

    async def ensure(self, asked: SetOutsiders | None, *, epoch: int) -> None:
        assert epoch == 4
        if not self.current(asked):
            self.written.append(asked)

    async def probe(self, _: SetOutsiders) -> tuple[str, ...]:
        self.probed += 1
        return self.open

    async def keep_pods(self, pools: list[Pool], present: dict[str, Any], *, epoch: int) -> None:
        assert epoch == 4
        self.kept = ([p.name for p in pools], sorted(present))

    async def turn(
        self,
        *pools: Pool,
        pods: tuple[Pod, ...] = (),
        templates: tuple[Template, ...] = (),
        more: tuple[str, ...] = (),
    ) -> bool:
        labels = {"gpupool.dev/pool": "lab"}
        spaces = (NamespaceFacts("vision", labels), *(NamespaceFacts(n, {}) for n in ("loners", *more)))
        world = World(NOW, pools=pools, pods=pods, namespaces=spaces, templates=templates)
        return await self.watch.turn(world, resolve(world), epoch=4)


LAB, FARM = a_pool(), a_pool(name="farm", mode=Mode.OBSERVE)


async def test_after_a_restart_nothing_is_touched_before_every_pool_was_decided() -> None:
    cluster = Cluster()
    cluster.modes = {"farm": OBSERVED}
    assert not await cluster.turn(LAB, FARM)
    assert (cluster.written, cluster.watch.facts) == ([], OutsiderFacts(known=()))


@pytest.mark.parametrize("bound", [False, True])
async def test_a_pool_that_is_not_decided_for_long_keeps_nobody_from_being_released(*, bound: bool) -> None:
    cluster = Cluster()
    cluster.modes, cluster.bound_pools = {"farm": OBSERVED}, {"lab"} if bound else set()
    assert not await cluster.turn(LAB, FARM)
    cluster.watch._undecided[LAB.uid] -= outsiderwatch.PATIENCE + 1
    await cluster.turn(LAB, FARM)
    asked = cluster.written[-1]
    assert (asked is not None) is bound, "what denies already goes on denying"


async def test_what_stands_is_proved_and_the_pools_hear_of_it() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED, "farm": OBSERVED}
    cluster.open = ("outsider-wildcard",)
    assert await cluster.turn(LAB, FARM)
    assert cluster.watch.facts == OutsiderFacts(
        stands=True, current=True, probe=("outsider-wildcard",), known=(FARM.uid, LAB.uid)
    )
    assert cluster.watch.pause(15) == 1, "it is tried again soon"
    cluster.open = ()
    cluster.watch._proof._at = -1000.0
    assert await cluster.turn(LAB, FARM)
    assert (cluster.watch.facts.probe, cluster.watch.pause(15)) == ((), 15)
    assert not await cluster.turn(LAB, FARM)
    assert cluster.probed == 2, "what nobody touched is not probed at every turn"


async def test_with_the_last_enforcing_pool_everything_goes() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED}
    await cluster.turn(LAB)
    cluster.modes = {"lab": OBSERVED}
    assert await cluster.turn(a_pool(mode=Mode.OBSERVE))
    assert cluster.written[-1] is None
    assert cluster.watch.facts == OutsiderFacts(current=True, known=(LAB.uid,))
    assert cluster.kept == ([], [])


WILD = Template("loners", ObjectRef("apps/v1", "Deployment", "wild"), "wild")
INSIDE = Template("vision", ObjectRef("apps/v1", "Deployment", "in"), "in")


async def test_while_somebody_who_runs_outside_would_be_denied_pods_are_warned() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED}
    cluster.refusals = {"wild": "ask for a share"}
    await cluster.turn(LAB, templates=(WILD, INSIDE))
    assert not cluster.denies()
    assert cluster.watch.facts.held.endswith("are being tried")
    assert cluster.watch.pause(15) == 1
    assert cluster.tried == ["wild"], "what belongs to a pool is the pool's to judge"
    await cluster.turn(LAB, templates=(WILD,))
    assert not cluster.denies()
    assert cluster.watch.facts.held.endswith("would be denied: loners Deployment/wild")
    assert cluster.watch.pause(15) == 15
    assert await cluster.turn(LAB)
    assert cluster.denies()
    assert cluster.watch.facts.held == ""
    await cluster.turn(LAB, templates=(WILD,))
    assert cluster.denies(), "it is a gate for entering"


async def test_who_runs_outside_and_would_be_let_in_holds_nobody_back() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED}
    await cluster.turn(LAB, templates=(WILD,))
    await cluster.turn(LAB, templates=(WILD,))
    assert cluster.denies()


CHURN = tuple(a_pool(a_share(f"team-{i}"), name=f"pool-{i}", node_selector=None) for i in range(3))


async def test_pools_that_come_and_go_make_nobody_wait_for_answers_that_they_cannot_change() -> None:
    cluster = Cluster()
    cluster.modes = {p.name: ENFORCED for p in (LAB, *CHURN)}
    cluster.refusals = {"wild": "ask for a share"}
    for pool in CHURN:
        cluster.watch._proof._at = -1000.0
        await cluster.turn(LAB, pool, templates=(WILD,), more=tuple(pool.shares[0].namespaces))
        assert cluster.written[-1] is not None
        assert cluster.written[-1].homes == dict.fromkeys(pool.shares[0].namespaces, pool.name)
    assert cluster.tried == ["wild"]
    assert cluster.watch.facts.held.endswith("would be denied: loners Deployment/wild")
    await cluster.turn(LAB, templates=(Template("loners", WILD.owner, "tame"),))
    assert not cluster.denies(), "who is new is tried first"
    await cluster.turn(LAB, CHURN[0], templates=(Template("loners", WILD.owner, "tame"),))
    assert cluster.denies()
    assert cluster.tried == ["wild", "tame"]


async def test_answers_from_before_a_resource_was_governed_open_no_gate() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED, "farm": ENFORCED}
    await cluster.turn(LAB, templates=(WILD,))
    assert cluster.tried == ["wild"]
    farm = replace(CHURN[0], name="farm", resources=("amd.com/gpu",))
    cluster.refusals = {"wild": "ask for a share of farm"}
    cluster.open = ("outsider-gpu-1",)
    await cluster.turn(LAB, farm, templates=(WILD,))
    assert not cluster.denies()
    assert cluster.tried == ["wild"], "not before the new policies act"
    cluster.open, cluster.watch._proof._at = (), -1000.0
    for _ in range(2):
        await cluster.turn(LAB, farm, templates=(WILD,))
        assert not cluster.denies()
    assert cluster.tried == ["wild", "wild"]


async def test_a_process_that_begins_goes_on_refusing() -> None:
    cluster = Cluster(denies=True)
    cluster.modes = {"lab": ENFORCED}
    cluster.refusals = {"wild": "ask for a share"}
    await cluster.turn(LAB, templates=(WILD,))
    assert cluster.denies()
    assert cluster.tried == []


async def test_a_pool_in_a_hurry_waits_for_nobody_outside() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED}
    cluster.refusals = {"wild": "ask for a share"}
    await cluster.turn(replace(LAB, enforce_now=True), templates=(WILD,))
    assert cluster.denies()


async def test_nothing_is_tried_before_the_policies_were_seen_to_act() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED}
    cluster.open = ("outsider-wildcard",)
    await cluster.turn(LAB, templates=(WILD,))
    assert cluster.tried == []


async def test_only_our_own_living_pods_count_as_kept() -> None:
    cluster = Cluster()
    cluster.modes = {"lab": ENFORCED}
    pods = tuple(
        Pod(Key(namespace, name), f"uid-{name}", {GPU: 1}, terminating=ending)
        for namespace, name, ending in (
            ("gpupool-probe", "kept-for-lab", False),
            ("gpupool-probe", "kept-for-farm", True),
            ("gpupool-probe", "somebody-elses", False),
            ("vision", "kept-for-lab", False),
        )
    )
    cluster.modes["farm"] = OBSERVED
    await cluster.turn(LAB, FARM, pods=pods)
    assert cluster.kept == (["lab"], ["kept-for-lab"])
