"""The standing pool that nothing generated may move, and what a batch of manifests meets on its stage."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from integration.manifests import replan
from integration.manifests.answers import complaint
from integration.manifests.cases import JSON, Case
from integration.manifests.schema import PLURALS
from integration.manifests.sending import Answer, Sender
from localplane.kube import Kube, KubeError
from localplane.processes import wait_until
from support.plane import eventually
from support.story import Story

Json = dict[str, Any]
API: Final = "/apis/gpupool.dev/v1alpha1"
AIMED: Final = 10
"""One refused manifest in so many is sent again at the standing request itself."""
CALM: Final = 180.0
"""Seconds in which a batch is decided, and is gone, at most: they run on slow shared machines."""
DECIDED: Final = {"GpuPool": "Ready", "CapacityRequest": "Granted", "InferenceSLO": "Met"}
"""The condition of each kind that people look at."""
WRONG: Final = ("Traceback", "cannot be read", "status not written", "cycle failed", "tidying failed")


@dataclass
class Stage:
    """The standing pool and request, and the counts of what was tried."""

    kube: Kube
    sender: Sender
    story: Story
    team: str
    tried: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds until a batch was decided, at most."""

    def standing(self) -> Json:
        """What must not move: the request's spec and grant, and the wall."""
        request = self.story.request(self.team, "work")
        kept = {name: request["status"].get(name) for name in ("phase", "granted", "allowance")}
        return {"spec": request["spec"], "hard": self.story.hard(self.team), **kept}

    def play(self, batch: Iterable[Case]) -> None:
        """Send a batch, judge every answer, see the accepted decided, and clear the stage."""
        answers = self.sender.send(batch)
        accepted = [a for a in answers if a.accepted]
        try:
            for answer in answers:
                self._judge(answer)
            for answer in accepted:
                self._replan(answer)
            began = time.monotonic()
            if not wait_until(lambda: not self._undecided(accepted), CALM, every=0.3):
                undecided = self._undecided(accepted)
                self.faults += [f"not decided within {CALM:.0f} s: {what}" for what in undecided]
            self.slowest = max(self.slowest, time.monotonic() - began)
        finally:
            self._clear(accepted)

    def _judge(self, answer: Answer) -> None:
        self.tried[f"{answer.case.flavour}, {'accepted' if answer.accepted else 'refused'}"] += 1
        if answer.accepted:
            return
        if wrong := complaint(answer.status, answer.message):
            self.faults.append(f"{wrong}: {answer.message[:600]!r} to {answer.case}")
        if answer.case.number % AIMED == 0:
            self._aim(answer.case)

    def _aim(self, case: Case) -> None:
        """Send the spec of a refused request at the standing one; what is good for it is only tried."""
        if case.kind != "CapacityRequest" or case.media != JSON:
            return
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            change = {"spec": json.loads(case.content)["spec"]}
            path = self.story.request_path(self.team, "work")
            if self._patched(path, change, dry_run=True):
                return
            assert not self._patched(path, change, dry_run=False), f"refused, then accepted: {case}"
            self.tried["aimed at the standing request, refused"] += 1

    def _patched(self, path: str, change: Json, *, dry_run: bool) -> bool:
        try:
            self.kube.patch(path, change, dry_run=dry_run)
        except KubeError:
            return False
        return True

    def _replan(self, answer: Answer) -> None:
        try:
            self.tried["statuses planned"] += replan.decide(answer.body)
        except Exception as error:  # noqa: BLE001 - any of them is what this test looks for
            self.faults.append(f"planner: {type(error).__name__}: {str(error)[:600]} on {answer.case}")

    # ------------------------------------------------------------------ the operator's answer

    def _undecided(self, accepted: Sequence[Answer]) -> list[str]:
        there = {(o["kind"], o["metadata"]["name"]): o for o in self._objects()}
        found = [there.get((a.case.kind, a.body["metadata"]["name"])) for a in accepted]
        return [json.dumps(o) for o in found if o is None or not _decided(o)]

    def _objects(self) -> list[Json]:
        return [
            o | {"kind": kind} for kind, plural in PLURALS.items() for o in self.kube.list(f"{API}/{plural}")
        ]

    def _clear(self, accepted: Sequence[Answer]) -> None:
        for answer in accepted:
            self.kube.delete(answer.path)
        names = {(a.case.kind, a.body["metadata"]["name"]) for a in accepted}
        eventually(
            lambda: not names & {(o["kind"], o["metadata"]["name"]) for o in self._objects()},
            "the stage is clear",
            CALM,
        )


def _decided(obj: Json) -> bool:
    """Whether the operator has judged the present spec, and said so in the condition people look at."""
    wanted = DECIDED[obj["kind"]]
    generation = obj["metadata"]["generation"]
    conditions = obj.get("status", {}).get("conditions", ())
    return any(c["type"] == wanted and c.get("observedGeneration") == generation for c in conditions)


def sizes(logs: Path) -> dict[Path, int]:
    """Bytes of the operator's logs so far."""
    return {file: file.stat().st_size for file in logs.glob("pods/gpupool*.log")}


def trouble(logs: Path, since: dict[Path, int]) -> list[str]:
    """Lines of trouble that the operator has logged since."""
    found = []
    for file in sizes(logs):
        with file.open("rb") as log:
            log.seek(since.get(file, 0))
            found += [line.decode(errors="replace")[:600] for line in log]
    return [line for line in found if any(word in line for word in WRONG)]
