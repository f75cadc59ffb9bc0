"""Live pod templates, tried under policies of ours: created as dry runs in the probe namespace.

The API server's own engine answers, with the mutation where there is one; nothing is stored and nobody is
asked in the templates' own namespaces. One answer serves all templates with the same judged part, and it is
asked for again once a minute, a few at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from gpupool.errors import KubeError
from gpupool.model.enforcement import Replay
from gpupool.model.objects import ObjectRef
from gpupool.model.plan import SetPolicies
from gpupool.model.pool import Pool
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


Judge = Callable[[Template], Awaitable[str]]
"""Tries one template: what is said against it, empty where it is let in."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said, and when (seconds of the monotonic clock); None: no policy could be asked."""

    at: float
    refusal: str | None

    def due(self) -> float:
        """When it is asked for again."""
        return self.at + (RETRY if self.refusal is None else LIFE)


@dataclass(frozen=True, slots=True)
class Scene:
    """Policies as they stand.

    Attributes:
        name: for the log.
        version: what their answers depend on beside the template.
        judge: asks them.
        proved: they were seen to act.
        canary: where that is not known, a template that they refuse as soon as they act.
        whole: they ask for all that is asked under Enforce, so whom they let in is let in there.
    """

    name: str
    version: tuple[object, ...]
    judge: Judge
    proved: bool
    canary: Template | None = None
    whole: bool = True


def scene(
    pool: Pool,
    asked: SetPolicies,
    judge: Callable[[Pool, SetPolicies, Template], Awaitable[str]],
    *,
    proved: bool,
) -> Scene | None:
    """The policies of a pool; None where none judges anybody. Those that warn are tried with a canary."""
    if not (asked.judges or asked.recommend):
        return None
    stage = ("deny",) if asked.judges else ("warn", asked.nodes_labelled)
    return Scene(
        name=pool.name,
        version=(pool.uid, pool.generation, asked.mutate, *stage),
        judge=partial(judge, pool, asked),
        proved=proved and asked.judges,
        canary=None if asked.judges else canary(pool),
        # Nobody is told to add a selector before the nodes carry the label.
        whole=asked.judges or asked.mutate or asked.nodes_labelled,
    )


class Rehearsal:
    """Keeps the answers of one scene's templates fresh.

    Args:
        wake: called when an answer is not what it was.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, wake: Callable[[], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._monotonic = monotonic
        self._scene: Scene | None = None
        self._templates: dict[Key, Template] = {}
        self._acts: tuple[object, ...] | None = None
        self._answers: dict[Key, Answer] = {}
        self._news = asyncio.Event()

    def look(self, found: Scene | None, templates: Iterable[Template]) -> None:
        """Take note of what is to be rehearsed; without a scene nothing is, and nothing is known."""
        before = self._scene and self._scene.version
        self._scene, self._templates = found, {_key(t): t for t in templates}
        known = self._answers if found is not None and found.version == before else {}
        self._answers = {k: a for k, a in known.items() if k in self._templates}
        if found is not None and found.canary is None:
            self._acts = found.version if found.proved else None
        self._news.set()

    def replays(self, templates: Iterable[Template]) -> tuple[Replay, ...]:
        """How templates fared; what was said too long ago is not known any more."""
        now = self._monotonic()
        return tuple(Replay(t.namespace, str(t.owner), self._known(_key(t), now)) for t in templates)

    def _known(self, key: Key, now: float) -> str | None:
        answer = self._answers.get(key)
        if answer is None or now - answer.at > LIFE + LATE:
            return None
        whole = self._scene is not None and self._scene.whole
        return answer.refusal if answer.refusal or whole else None

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
        found, templates = self._scene, self._templates
        if found is None or not templates:
            return LIFE
        if not await self._acting(found):
            return SOON
        now, limit = self._monotonic(), asyncio.Semaphore(AT_ONCE)
        due = [k for k in templates if k not in self._answers or self._answers[k].due() <= now]
        if due:
            answers = await asyncio.gather(*(self._try(found, templates[k], limit) for k in due))
            self._keep(found, dict(zip(due, answers, strict=True)))
        soonest = min((a.due() for a in self._answers.values()), default=now + LIFE)
        return max(SOON, soonest - self._monotonic())

    async def _acting(self, found: Scene) -> bool:
        """Whether the policies take effect already: they do so a moment after they were written."""
        if self._acts == found.version or found.canary is None:
            return self._acts == found.version
        refusal = (await self._try(found, found.canary, asyncio.Semaphore())).refusal
        if refusal and self._plays(found):
            self._acts = found.version
        return bool(refusal)

    async def _try(self, found: Scene, template: Template, limit: asyncio.Semaphore) -> Answer:
        async with limit:
            try:
                refusal: str | None = await found.judge(template)
            except KubeError as error:
                log.warning(
                    "template not rehearsed",
                    extra={"policies": found.name, "owner": str(template.owner), "error": str(error)},
                )
                refusal = None
        return Answer(self._monotonic(), refusal)

    def _plays(self, found: Scene) -> bool:
        return self._scene is not None and self._scene.version == found.version

    def _keep(self, found: Scene, answers: dict[Key, Answer]) -> None:
        if not self._plays(found):
            return
        before = {k: a.refusal for k, a in self._answers.items()}
        self._answers |= answers
        if {k: a.refusal for k, a in self._answers.items()} != before:
            denied = sorted({t.refusal for t in self.replays(self._templates.values()) if t.refusal})
            log.info("templates rehearsed", extra={"policies": found.name, "denied": denied})
            self._wake()


def _key(template: Template) -> Key:
    return template.text, template.loose


def canary(pool: Pool) -> Template:
    """A template that every stage refuses."""
    count = {pool.resources[0]: "1"}
    container = {"name": "canary", "resources": {"limits": count, "requests": count}}
    spec = {"nodeName": "gpupool-rehearsal", "containers": [container]}
    return Template("", ObjectRef("v1", "Pod", "canary"), json.dumps({"labels": {}, "spec": spec}))
