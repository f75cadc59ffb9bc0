"""CPU and memory look by look: what is remembered, what stops it, what is told of a write."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.errors import Failure, KubeError, kube_error
from gpupool.model.diagnosis import Cause, Confidence, Diagnosis
from gpupool.model.objects import Container, Key, ObjectRef, Pod
from gpupool.model.plan import Status
from gpupool.model.resources import UNSEEN, LeaveVpa, Use, UseDay, Vpa, VpaMode, VpaNote, WriteVpa
from gpupool.model.signals import ContainerUse, PodSignals, Signals
from gpupool.model.slo import Objective, Sli, Slo
from gpupool.model.steering import Limits, Scaler, Scaling
from gpupool.model.world import World
from gpupool.planner.diagnosing import Findings
from gpupool.planner.endpoints import SloPlan, SloStatus
from gpupool.policy.membership import Membership
from gpupool.runtime import resourcing as module
from gpupool.runtime.context import Context
from gpupool.runtime.resourcing import Resourcing
from gpupool.runtime.surroundings import surroundings
from support.builders import NOW, pods

KEY, REF = Key("vision", "chat"), ObjectRef("apps/v1", "Deployment", "chat")
TTFT = Objective(Sli.TTFT, 99, 0.5)
USE = Use("main", 0.0, 900.0, (UseDay(NOW.timestamp() // 86400 * 86400, 1.0, 2.0**30),))
SLO = Slo(
    KEY, "slo", 1, NOW, REF, (TTFT,), timedelta(days=1), 100, scaling=Scaling(vpa=VpaMode.ADOPT), use=USE
)
THEIRS = Vpa(Key("vision", "vpa"), "uid", "7", replace(REF, api_version="apps/v2"), "Initial")
MAIN = (Container("main", 2.0),)
SEEN = Signals(300.0, (PodSignals("p", containers=(ContainerUse("main", 1.5, 2.0**31, 2.0),)),))
BOUND = Diagnosis(Cause.CPU_BOUND, Confidence.HIGH)


class _Slos:
    """As many InferenceSLOs as are read."""

    objects = 1

    def __len__(self) -> int:
        return 1


class Rig:
    """One endpoint, whose VPA is written by a hand that notes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vpas_here: tuple[Vpa, ...] = (THEIRS,)
        self.scalers: tuple[Scaler, ...] = ()
        self.pods: tuple[Pod, ...] = tuple(replace(p, containers=MAIN) for p in pods(2, "chat"))
        self.diagnosis: Diagnosis | None = None
        self.done: list[Any] = []
        self.fails: KubeError | None = None
        monkeypatch.setattr(module, "write", self._do)
        monkeypatch.setattr(module, "leave", self._do)
        settings = SimpleNamespace(evaluation_window=300.0)
        context = SimpleNamespace(mirror=self, writer=None, epoch=1, settings=settings)
        self.resourcing = Resourcing(cast("Context", context))

    @property
    def autoscalers(self) -> Any:
        return SimpleNamespace(store=SimpleNamespace(values=lambda: self.scalers))

    @property
    def scaled_objects(self) -> Any:
        return SimpleNamespace(values=tuple)

    @property
    def vpas(self) -> Any:
        return SimpleNamespace(values=lambda: self.vpas_here, served=True)

    @property
    def slos(self) -> Any:
        return SimpleNamespace(store=_Slos())

    async def _do(self, _writer: Any, action: Any, *, epoch: int) -> Any:
        assert epoch == 1
        if self.fails is not None:
            raise self.fails
        self.done.append(action)
        return {"metadata": {"uid": "uid"}}

    async def turn(self, slo: Slo = SLO, signals: Signals | None = None) -> SloPlan:
        findings = Findings(self.diagnosis)
        status = SloStatus(KEY, "slo", 1, "", 2, 2, (), (), findings=findings)
        shown = {} if signals is None else {KEY: signals}
        around = surroundings(World(NOW, pods=self.pods), Membership(), [slo])
        return await self.resourcing.turn(SloPlan((status,)), [slo], around, shown)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


def said(plan: SloPlan) -> tuple[Status, str]:
    found = next(c for c in plan.statuses[0].conditions if c.type == "Resources")
    return found.status, found.reason


def low(plan: SloPlan) -> str:
    found = plan.statuses[0].resources
    assert found is not None
    return found.bounds.low.get("cpu", "")


async def test_a_vpa_that_names_its_target_in_another_version_is_adopted_and_it_is_told(rig: Rig) -> None:
    plan = await rig.turn()
    (write,) = rig.done
    assert isinstance(write, WriteVpa)
    assert said(plan) == (Status.TRUE, "Adopted")
    (notice,) = plan.notices
    assert (notice.reason, notice.warning) == ("VpaAdopted", False)


async def test_a_note_that_was_taken_off_is_remembered_and_the_rewrite_is_told(rig: Rig) -> None:
    await rig.turn()
    plan = await rig.turn()
    assert rig.done[1].note.rewrites == (NOW,)
    assert [(n.reason, n.warning) for n in plan.notices] == [("VpaRewritten", True)]
    rig.vpas_here = ()
    await rig.turn()
    assert rig.resourcing._notes == {}


async def test_where_there_is_none_one_is_made_and_told(rig: Rig) -> None:
    rig.vpas_here = ()
    create = replace(SLO, scaling=Scaling(vpa=VpaMode.CREATE))
    plan = await rig.turn(create)
    assert [n.reason for n in plan.notices] == ["VpaMade"]
    assert rig.done[0].vpa == KEY
    rig.vpas_here = (replace(THEIRS, key=KEY, uid="other", target=replace(REF, name="else")),)
    assert said(await rig.turn(create)) == (Status.FALSE, "NameTaken")


async def test_a_change_of_ours_is_no_news_and_giving_back_forgets(rig: Rig) -> None:
    rig.vpas_here = (replace(THEIRS, policies="[]", note=VpaNote("", "[]")),)
    plan = await rig.turn()
    assert (len(rig.done), plan.notices) == (1, ())
    plan = await rig.turn(replace(SLO, scaling=Scaling(vpa=VpaMode.OFF)))
    assert isinstance(rig.done[1], LeaveVpa)
    assert (plan.notices, rig.resourcing._notes) == ((), {})


async def test_what_was_used_is_remembered_and_a_diagnosis_raises_it(rig: Rig) -> None:
    assert low(await rig.turn()) == "1200m"
    assert low(await rig.turn(signals=SEEN)) == "1800m"
    assert low(await rig.turn()) == "1800m"
    rig.diagnosis = BOUND
    assert low(await rig.turn(signals=SEEN)) == "3000m"


async def test_of_which_pod_it_is_the_newest_says(rig: Rig) -> None:
    old, new = rig.pods
    later = NOW + timedelta(seconds=1)
    going = replace(new, containers=(), created=later + timedelta(seconds=1), terminating=True)
    other = replace(
        new, key=Key("vision", "z"), containers=(Container("serve"), Container("draft")), created=later
    )
    rig.pods = (old, other, going, replace(new, owner=None), replace(new, owner=replace(REF, name="else")))
    assert said(await rig.turn(signals=SEEN)) == (Status.FALSE, "SeveralContainers")


async def test_what_an_hpa_scales_on_is_left_out(rig: Rig) -> None:
    rig.scalers = (Scaler(Key("vision", "hpa"), "h", "1", REF, Limits(1, 2), on=frozenset({"cpu"})),)
    found = (await rig.turn()).statuses[0].resources
    assert found is not None
    assert list(found.bounds.low) == ["memory"]


async def test_what_changed_meanwhile_is_looked_at_again_and_what_fails_is_said(rig: Rig) -> None:
    rig.fails = kube_error("PATCH", Failure(409, "Conflict"))
    assert said(await rig.turn()) == (Status.TRUE, "Adopted")
    rig.fails = kube_error("PATCH", Failure(403, "Forbidden", "no"))
    assert said(await rig.turn()) == (Status.FALSE, "WriteFailed")
    rig.vpas_here = (replace(THEIRS, policies="[]", note=VpaNote("", "[]")),)
    assert said(await rig.turn(replace(SLO, scaling=Scaling(vpa=VpaMode.ADVISE)))) == (Status.FALSE, "Advise")


async def test_while_nothing_is_said_the_use_is_remembered_all_the_same(rig: Rig) -> None:
    await rig.turn(replace(SLO, scaling=Scaling(vpa=VpaMode.OFF)), SEEN)
    assert low(await rig.turn(replace(SLO, use=UNSEEN))) == "1800m"
