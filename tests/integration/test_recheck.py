"""Between plan and apply the world moves: what no longer holds is refused, counted, and decided anew."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpupool.cli import run
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import CAPACITY_REQUESTS, NODES, RESOURCE_QUOTAS, ObjectKey
from gpupool.model.plan import Action, Evict, Plan, SetQuota
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.runtime import cycle
from gpupool.runtime.context import Context
from gpupool.runtime.settings import Settings
from localplane.kube import Kube
from localplane.runner.settings import NAMESPACE
from support.manifests import install_crds
from support.marks import ADMISSION, POLICIES
from support.polling import eventually
from support.story import RESOURCE, Story

KEPT = "/api/v1/namespaces/gpupool-probe/pods"
LIMIT = 60.0


class Meddler:
    """Stands between the plan and the recheck of every cycle.

    Attributes:
        change: done once, when a plan is about to do what is waited for.
        waits_for: the action; a raise of a wall unless told otherwise.
        met: what was about to be done.
    """

    def __init__(self) -> None:
        self.change: Callable[[], None] | None = None
        self.waits_for: Callable[[Action], bool] = _raises
        self.met: Action | None = None

    def make_plan(self, snapshot: Snapshot) -> Plan:
        """Plan, and then change the world: the mirror knows it before the recheck looks."""
        plan = make_plan(snapshot)
        awaited = (a for a in plan.actions if self.waits_for(a))
        if self.change is not None and (found := next(awaited, None)) is not None:
            change, self.change = self.change, None
            self.met = found
            change()
        return plan


def _raises(action: Action) -> bool:
    return isinstance(action, SetQuota) and action.raises and any(action.hard.values())


@pytest.fixture
def meddler(monkeypatch: pytest.MonkeyPatch) -> Meddler:
    """Put between plan and recheck."""
    found = Meddler()
    monkeypatch.setattr(cycle, "make_plan", found.make_plan)
    return found


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool of one node on a cluster whose operator is this process."""
    install_crds(kube)
    for name in (NAMESPACE, "gpupool-probe"):
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    told = Story(kube, namespace)
    yield told
    told.end(0)
    # Nobody leads any more who would take its policies back; they would refuse pods of whatever comes next.
    for kind in POLICIES:
        for each in kube.list(f"{ADMISSION}/{kind}", labels="app.kubernetes.io/managed-by=gpupool"):
            kube.delete(f"{ADMISSION}/{kind}/{each['metadata']['name']}")
    for each in kube.list(KEPT):
        kube.delete(f"{KEPT}/{each['metadata']['name']}", grace_seconds=0)
    told.until_nobody_enforces()


@asynccontextmanager
async def operator(client: KubeClient) -> AsyncIterator[Context]:
    """The operator's own parts in this process, leading."""
    settings = Settings(pod_namespace=NAMESPACE, pod_name="here", cycle_interval=1.0)
    async with run._parts(settings, client, served=True) as (context, _, leading):
        tasks = [asyncio.create_task(context.mirror.run()), asyncio.create_task(leading.run())]
        try:
            await eventually(context.elector.leads, LIMIT, "leadership")
            yield context
        finally:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait([task], timeout=LIMIT)


def refusals(context: Context) -> float:
    """What the metric counts."""
    families = text_string_to_metric_families(context.metrics.render().decode())
    rows = [s for f in families for s in f.samples if s.name == "gpupool_recheck_refusals_total"]
    return sum(row.value for row in rows)


def edited(kube: Kube, context: Context, story: Story, team: str) -> None:
    """The owner asks for less."""
    path = story.request_path(team, "work")
    context.mirror.written(CAPACITY_REQUESTS, kube.patch(path, {"spec": {"gpus": 2, "minGpus": 2}}))


def touched(kube: Kube, context: Context, _story: Story, team: str) -> None:
    """Somebody writes on our quota."""
    path = f"/api/v1/namespaces/{team}/resourcequotas/gpupool"
    note = {"metadata": {"annotations": {"test.example/seen": "yes"}}}
    context.mirror.written(RESOURCE_QUOTAS, kube.patch(path, note))


def cordoned(kube: Kube, context: Context, story: Story, _team: str) -> None:
    """The node takes no more pods."""
    path = f"/api/v1/nodes/{story.nodes[0]}"
    context.mirror.written(NODES, kube.patch(path, {"spec": {"unschedulable": True}}))


def deleted(kube: Kube, context: Context, story: Story, team: str) -> None:
    """The request is withdrawn."""
    found = kube.get(story.request_path(team, "work"))
    kube.delete(story.request_path(team, "work"))
    context.mirror.deleted(CAPACITY_REQUESTS, ObjectKey(team, "work"), found["metadata"]["uid"])


@dataclass(frozen=True, slots=True)
class Case:
    """A change of the world, and where it must end: the wall and the request's phase."""

    change: Callable[[Kube, Context, Story, str], None]
    hard: int
    phase: str


CASES = [
    Case(edited, 2, "Granted"),
    Case(touched, 4, "Granted"),
    Case(cordoned, 0, "Queued"),
    Case(deleted, 0, ""),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.change.__name__)
async def test_a_raise_that_the_present_does_not_want_is_refused_and_counted(
    client: KubeClient, kube: Kube, story: Story, meddler: Meddler, case: Case
) -> None:
    story.add_nodes(1)
    team = story.team("a")
    async with operator(client) as context:
        story.pool(shares=[story.share(team, 8)])
        await eventually(lambda: story.hard(team) == 0, LIMIT, "the wall")
        meddler.change = lambda: case.change(kube, context, story, team)
        story.ask(team, "work", 4)
        await eventually(lambda: meddler.met is not None, LIMIT, "a raise that is about to be done")
        assert isinstance(meddler.met, SetQuota)
        assert meddler.met.hard == {RESOURCE: 4}
        await eventually(lambda: refusals(context) > 0, LIMIT, "a refusal")
        await eventually(
            lambda: _stands(story, team) == (case.hard, case.phase), LIMIT, "the decision of the present"
        )


async def test_an_eviction_that_nobody_needs_any_more_is_refused_and_counted(
    client: KubeClient, kube: Kube, story: Story, meddler: Meddler
) -> None:
    story.add_nodes(1)
    owner, guest = story.team("owner"), story.team("guest")
    recall = {"within": "10m", "notice": "3s"}
    async with operator(client) as context:
        story.pool(shares=[story.share(owner, 8), story.share(guest)], recall=recall)
        story.ask(guest, "spare", 8, preemptible=True)
        await eventually(lambda: story.in_force(guest) == 8, LIMIT, "the guest's wall")
        await eventually(lambda: story.condition("Enforced").get("status") == "True", LIMIT, "enforcement")
        running = story.run(guest, "spare", 2, gpus=4)
        await eventually(lambda: story.held(guest) == 8, LIMIT, "borrowed GPUs are held")
        before: list[float] = []

        def withdrawn() -> None:
            before.append(refusals(context))
            deleted(kube, context, story, owner)

        meddler.waits_for, meddler.change = lambda action: isinstance(action, Evict), withdrawn
        story.ask(owner, "work", 8)
        await eventually(lambda: meddler.met is not None, LIMIT, "an eviction that is about to be done")
        await eventually(lambda: refusals(context) > before[0], LIMIT, "a refusal")
        await eventually(lambda: story.in_force(guest) == 8, LIMIT, "the wall is back")
        alive = {p["metadata"]["name"]: p["metadata"] for p in kube.list(f"/api/v1/namespaces/{guest}/pods")}
        assert set(alive) == set(running)
        assert not [m for m in alive.values() if "deletionTimestamp" in m], "nobody was asked to go"


def _stands(story: Story, team: str) -> tuple[int | None, str]:
    """The wall, and the phase of the request; empty where it is gone."""
    found = story.kube.find(story.request_path(team, "work")) or {}
    return story.hard(team), found.get("status", {}).get("phase", "")
