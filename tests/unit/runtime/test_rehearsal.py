"""How templates are rehearsed: once each, a few at a time, again after a minute, never without policies."""

import asyncio
from dataclasses import replace

import pytest

from gpupool.errors import Failure, Forbidden, KubeError, Unreachable
from gpupool.model.objects import ObjectRef
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Pool
from gpupool.model.world import Template
from gpupool.runtime.rehearsal import AT_ONCE, LATE, LIFE, RETRY, SOON, Rehearsal, scene
from support.builders import a_pool

POOL = a_pool()
WAITS = SetPolicies(enforce=False, recommend=("vision",), nodes_labelled=False, mutate=True, rehearse=True)
WARNS = replace(WAITS, rehearse=False)
NOTHING = replace(WARNS, recommend=())


def a_template(name: str, text: str = "", *, loose: bool = False) -> Template:
    return Template("vision", ObjectRef("apps/v1", "Deployment", name), text or name, loose)


TRAIN, SERVE = a_template("train"), a_template("serve")


class Rig:
    """A rehearsal with a clock and a judge that answers as told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.woken = 0
        self.asked: list[str] = []
        self.answers: dict[str, str | KubeError] = {}
        self.canary = "refused"
        self.most = self._under_way = 0
        self.rehearsal = Rehearsal(self._wake, lambda: self.now)

    async def _judge(self, pool: Pool, asked: SetPolicies, template: Template) -> str:
        assert pool.name == POOL.name
        assert asked.judges or asked.recommend
        if template.owner.name == "canary":
            assert '"nodeName"' in template.text
            return self.canary
        self.asked.append(template.text)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(0)
        self._under_way -= 1
        found = self.answers.get(template.text, "")
        if isinstance(found, KubeError):
            raise found
        return found

    def _wake(self) -> None:
        self.woken += 1

    async def turn(
        self, *templates: Template, asked: SetPolicies = WAITS, pool: Pool = POOL, proved: bool = True
    ) -> float:
        self.asked.clear()
        self.look(*templates, asked=asked, pool=pool, proved=proved)
        return await self.rehearsal.turn()

    def look(
        self, *templates: Template, asked: SetPolicies = WAITS, pool: Pool = POOL, proved: bool = True
    ) -> None:
        self.rehearsal.look(scene(pool, asked, self._judge, proved=proved), templates)

    def refusals(self, *templates: Template) -> list[str | None]:
        return [r.refusal for r in self.rehearsal.replays(templates)]


async def test_every_template_is_tried_and_known_afterwards() -> None:
    rig = Rig()
    rig.answers["train"] = "no"
    assert rig.refusals(TRAIN, SERVE) == [None, None]
    assert await rig.turn(TRAIN, SERVE) == LIFE
    assert rig.refusals(TRAIN, SERVE) == ["no", ""]
    (first, _) = rig.rehearsal.replays((TRAIN, SERVE))
    assert (first.namespace, first.owner) == ("vision", "Deployment/train")
    assert rig.woken == 1


async def test_templates_that_are_judged_alike_are_tried_once() -> None:
    rig = Rig()
    twin = a_template("twin", "train")
    await rig.turn(TRAIN, twin, a_template("bare", "train", loose=True))
    assert rig.asked == ["train", "train"], "a pod without a controller is another case"
    assert rig.refusals(twin) == [""]


async def test_an_answer_is_asked_for_again_after_a_minute_and_a_new_template_at_once() -> None:
    rig = Rig()
    await rig.turn(TRAIN)
    rig.now = LIFE - 1
    assert await rig.turn(TRAIN) == pytest.approx(1.0)
    assert rig.asked == []
    await rig.turn(TRAIN, SERVE)
    assert rig.asked == ["serve"]
    rig.now = LIFE
    await rig.turn(TRAIN, SERVE)
    assert rig.asked == ["train"]
    assert rig.woken == 2, "nothing is told of an answer that is what it was"
    rig.answers["train"] = "no more"
    rig.now += LIFE
    await rig.turn(TRAIN, SERVE)
    assert rig.refusals(TRAIN) == ["no more"]
    assert rig.woken == 3


async def test_what_was_said_too_long_ago_is_not_known_any_more() -> None:
    rig = Rig()
    await rig.turn(TRAIN)
    rig.now = LIFE + LATE + 1
    assert rig.refusals(TRAIN) == [None]


@pytest.mark.parametrize("error", [Forbidden("POST", Failure(403)), Unreachable("POST", Failure())])
async def test_a_template_without_an_answer_is_tried_again_soon(error: KubeError) -> None:
    rig = Rig()
    rig.answers["train"] = error
    assert await rig.turn(TRAIN, SERVE) == RETRY
    assert rig.refusals(TRAIN, SERVE) == [None, ""]
    rig.now, rig.answers = RETRY, {}
    await rig.turn(TRAIN, SERVE)
    assert rig.asked == ["train"]
    assert rig.refusals(TRAIN, SERVE) == ["", ""]


async def test_few_are_tried_at_the_same_time() -> None:
    rig = Rig()
    await rig.turn(*(a_template(str(n)) for n in range(40)))
    assert len(rig.asked) == 40
    assert rig.most == AT_ONCE


async def test_policies_that_deny_are_believed_once_they_are_proved() -> None:
    rig = Rig()
    assert await rig.turn(TRAIN, proved=False) == SOON
    assert rig.asked == []
    await rig.turn(TRAIN)
    assert rig.asked == ["train"]


async def test_policies_that_warn_are_believed_once_a_bad_pod_is_warned_about() -> None:
    rig = Rig()
    rig.canary = ""
    assert await rig.turn(TRAIN, asked=WARNS, proved=False) == SOON
    assert rig.refusals(TRAIN) == [None]
    rig.canary = "refused"
    await rig.turn(TRAIN, asked=WARNS, proved=False)
    assert rig.refusals(TRAIN) == [""]


@pytest.mark.parametrize(
    "changed",
    [
        {"pool": replace(POOL, generation=2)},
        {"pool": replace(POOL, uid="another")},
        {"asked": replace(WAITS, mutate=False)},
        {"asked": WARNS},
    ],
)
async def test_under_other_policies_everything_is_tried_anew(changed: dict[str, object]) -> None:
    rig = Rig()
    await rig.turn(TRAIN)
    await rig.turn(TRAIN, **changed)  # type: ignore[arg-type] # one of two arguments
    assert rig.asked == ["train"]


async def test_who_is_let_in_before_nodes_can_be_selected_is_not_known_to_be_let_in_later() -> None:
    rig = Rig()
    rig.answers["train"] = "no"
    plain = replace(WARNS, mutate=False, nodes_labelled=False)
    await rig.turn(TRAIN, SERVE, asked=plain, proved=False)
    assert rig.refusals(TRAIN, SERVE) == ["no", None]
    await rig.turn(TRAIN, SERVE, asked=replace(plain, nodes_labelled=True), proved=False)
    assert rig.refusals(TRAIN, SERVE) == ["no", ""]


async def test_entering_enforce_asks_nothing_anew() -> None:
    rig = Rig()
    await rig.turn(TRAIN)
    entered = replace(WAITS, enforce=True, recommend=(), rehearse=False, nodes_labelled=True)
    await rig.turn(TRAIN, asked=entered)
    assert rig.asked == []
    assert rig.refusals(TRAIN) == [""]


async def test_without_policies_or_templates_nothing_is_asked() -> None:
    rig = Rig()
    assert await rig.rehearsal.turn() == LIFE
    assert await rig.turn() == LIFE
    await rig.turn(TRAIN)
    assert await rig.turn(TRAIN, asked=NOTHING) == LIFE
    assert rig.refusals(TRAIN) == [None], "back in Observe nothing is known"


async def test_an_answer_that_comes_after_the_policies_changed_counts_for_nothing() -> None:
    rig = Rig()
    rig.look(TRAIN)
    turning = asyncio.create_task(rig.rehearsal.turn())
    await asyncio.sleep(0)
    rig.look(TRAIN, pool=replace(POOL, generation=2), proved=False)
    await turning
    assert rig.refusals(TRAIN) == [None]


async def test_it_runs_by_itself_and_a_bug_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    turns: list[int] = []
    enough = asyncio.Event()

    async def turn() -> float:
        turns.append(1)
        if len(turns) == 1:
            raise ValueError("a bug")
        enough.set()
        return 0.0

    monkeypatch.setattr("gpupool.runtime.rehearsal.RETRY", 0.0)
    monkeypatch.setattr(rig.rehearsal, "turn", turn)
    running = asyncio.create_task(rig.rehearsal.run())
    async with asyncio.timeout(10):
        await enough.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
