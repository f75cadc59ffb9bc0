"""Live pod templates, tried under the pool's policies: created as dry runs in the probe namespace.

The API server's own engine answers, with the mutation where there is one; nothing is stored and nobody is
asked in the templates' own namespaces. One answer serves all templates with the same judged part, and it is
asked for again once a minute, a few at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from gpupool.errors import KubeError
from gpupool.model.enforcement import Replay
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Pool
from gpupool.model.snapshot import ObjectRef
from gpupool.model.world import Template

log = logging.getLogger(__name__)

LIFE = 60.0
"""Seconds an answer holds before it is asked for again."""
LATE = 20.0
"""Seconds that the next answer may take before the old one counts no more."""
RETRY = 5.0
"""Seconds until a template without an answer is tried again."""
SOON = 0.5
"""Seconds until policies that do not act yet are tried again."""
AT_ONCE = 4
"""Dry runs at the same time."""

Key = tuple[str, bool]
"""What is the same for templates that are judged alike."""


class Judge(Protocol):
    """Tries one template: `PolicySet.rehearse`."""

    async def __call__(self, pool: Pool, asked: SetPolicies, template: Template) -> str:
        """What is said against it; empty where it is let in."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said, and when (seconds of the monotonic clock); None: no policy could be asked."""

    at: float
    refusal: str | None

    def due(self) -> float:
        """When it is asked for again."""
        return self.at + (RETRY if self.refusal is None else LIFE)


@dataclass(slots=True)
class _Stage:
    """What is rehearsed: the policies as they were written, and the templates of the pool's namespaces."""

    pool: Pool
    asked: SetPolicies
    templates: dict[Key, Template] = field(default_factory=dict)

    @property
    def version(self) -> tuple[object, ...]:
        """What the answers depend on beside the templates."""
        denies = ("deny",) if self.asked.judges else ("warn", self.asked.nodes_labelled)
        return (self.pool.uid, self.pool.generation, self.asked.mutate, *denies)


class Rehearsal:
    """Keeps the answers of one pool's templates fresh.

    Args:
        judge: asks the API server.
        wake: called when an answer is not what it was.
        monotonic: seconds that never run backwards.
    """

    def __init__(
        self, judge: Judge, wake: Callable[[], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._judge = judge
        self._wake = wake
        self._monotonic = monotonic
        self._stage: _Stage | None = None
        self._acts: tuple[object, ...] | None = None
        self._answers: dict[Key, Answer] = {}
        self._news = asyncio.Event()

    def look(self, pool: Pool, asked: SetPolicies, templates: Iterable[Template], *, proved: bool) -> None:
        """Take note of what is to be rehearsed.

        Args:
            pool: whose policies.
            asked: the policies that stand.
            templates: of the pool's namespaces.
            proved: the policies that deny were seen to act. Those that warn are tried with a bad pod first.
        """
        if not (asked.judges or asked.recommend):
            self._stage, self._answers = None, {}
            return
        stage = _Stage(pool, asked, {_key(t): t for t in templates})
        if self._stage is None or self._stage.version != stage.version:
            self._answers = {}
        self._stage = stage
        self._answers = {k: a for k, a in self._answers.items() if k in stage.templates}
        if asked.judges:
            self._acts = stage.version if proved else None
        self._news.set()

    def replays(self, templates: Iterable[Template]) -> tuple[Replay, ...]:
        """How templates fared; what was said too long ago is not known any more."""
        now = self._monotonic()
        return tuple(Replay(t.namespace, str(t.owner), self._known(_key(t), now)) for t in templates)

    def _known(self, key: Key, now: float) -> str | None:
        answer = self._answers.get(key)
        return None if answer is None or now - answer.at > LIFE + LATE else answer.refusal

    async def run(self) -> None:
        """Rehearse until cancelled."""
        while True:
            self._news.clear()
            try:
                pause = await self.turn()
            except Exception:
                # A bug here must not end the pool's loop: what is not known only makes Enforce wait.
                log.exception("rehearsal failed")
                pause = RETRY
            try:
                await asyncio.wait_for(self._news.wait(), pause)
            except TimeoutError:
                continue

    async def turn(self) -> float:
        """Try what is due; returns the seconds until something is due again."""
        stage = self._stage
        if stage is None or not stage.templates:
            return LIFE
        if not await self._acting(stage):
            return SOON
        now, limit = self._monotonic(), asyncio.Semaphore(AT_ONCE)
        due = [k for k in stage.templates if k not in self._answers or self._answers[k].due() <= now]
        if due:
            answers = await asyncio.gather(*(self._try(stage, stage.templates[k], limit) for k in due))
            self._keep(stage, dict(zip(due, answers, strict=True)))
        soonest = min((a.due() for a in self._answers.values()), default=now + LIFE)
        return max(SOON, soonest - self._monotonic())

    async def _acting(self, stage: _Stage) -> bool:
        """Whether the policies take effect already: they do so a moment after they were written."""
        if self._acts == stage.version or stage.asked.judges:
            return self._acts == stage.version
        refusal = (await self._try(stage, _canary(stage.pool), asyncio.Semaphore())).refusal
        if refusal and self._stage is not None and self._stage.version == stage.version:
            self._acts = stage.version
        return bool(refusal)

    async def _try(self, stage: _Stage, template: Template, limit: asyncio.Semaphore) -> Answer:
        async with limit:
            try:
                refusal: str | None = await self._judge(stage.pool, stage.asked, template)
            except KubeError as error:
                log.warning(
                    "template not rehearsed",
                    extra={"pool": stage.pool.name, "owner": str(template.owner), "error": str(error)},
                )
                refusal = None
        return Answer(self._monotonic(), refusal)

    def _keep(self, stage: _Stage, answers: dict[Key, Answer]) -> None:
        if self._stage is None or self._stage.version != stage.version:
            return
        before = {k: a.refusal for k, a in self._answers.items()}
        self._answers |= answers
        if {k: a.refusal for k, a in self._answers.items()} != before:
            denied = sorted({t.refusal for t in self.replays(stage.templates.values()) if t.refusal})
            log.info("templates rehearsed", extra={"pool": stage.pool.name, "denied": denied})
            self._wake()


def _key(template: Template) -> Key:
    return template.text, template.loose


def _canary(pool: Pool) -> Template:
    """A template that every stage refuses."""
    count = {pool.resources[0]: "1"}
    container = {"name": "canary", "resources": {"limits": count, "requests": count}}
    spec = {"nodeName": "gpupool-rehearsal", "containers": [container]}
    return Template("", ObjectRef("v1", "Pod", "canary"), json.dumps({"labels": {}, "spec": spec}))
