"""kill -9 at exactly a write: before the API server sees it, or when it is stored and nobody knows."""

import asyncio
import json
from collections.abc import Callable

from support.faultproxy.asked import Asked
from support.faultproxy.faults import Cut, Fault, Match, Reply, writes
from support.findings import TIMERS


class Killer(Fault):
    """Kills the operator at every write that says something new.

    Args:
        kill: ends the operator's processes, which come back; says how many there were.
        most: kills at most.
        both: each write costs two lives, one before it is sent and one after it was stored; else every
            second write costs one before, the others one after.
        match: which writes; by default all.

    Attributes:
        spared: what writes say that passed for no other reason than that `most` had been killed.
    """

    def __init__(self, kill: Callable[[], int], most: int, *, both: bool, match: Match = writes) -> None:
        super().__init__(match)
        self.spared: set[str] = set()
        self._kill = kill
        self._most = most
        self._both = both
        self._due: dict[str, list[str]] = {}
        self._busy = asyncio.Lock()

    async def before(self, asked: Asked) -> Reply | None:
        """Kill before the write."""
        await self._strike("before", asked)
        return None

    async def after(self, asked: Asked) -> None:
        """Kill after the write."""
        await self._strike("after", asked)

    async def _strike(self, moment: str, asked: Asked) -> None:
        words = said(asked)
        async with self._busy:
            if words not in self._due:
                turns = ["before", "after"]
                self._due[words] = turns if self._both else [turns[len(self._due) % 2]]
            due = self._due[words]
            if due[:1] != [moment]:
                return
            if len(self.hits) >= self._most:
                self.spared.add(words)
                return
            # Writes that were under way together die together: the next life says them again.
            if await asyncio.to_thread(self._kill):
                due.pop(0)
                self.hits.append(asked)
        raise Cut


def said(asked: Asked) -> str:
    """What a write says, in so many words that the same decision written again is the same."""
    body = asked.content
    where = f"{asked.kind} {asked.namespace}/{asked.name}"
    match asked.kind:
        case "resourcequotas":
            notes = body.get("metadata", {}).get("annotations", {})
            timers = json.loads(notes.get(TIMERS, "{}"))
            stages = {name: timer["stage"] for name, timer in timers.items()}
            return f"{where} {body.get('spec', {}).get('hard')} {stages}"
        case "capacityrequests/status":
            status = body.get("status", {})
            numbers = [status.get(k) for k in ("phase", "granted", "allowance")]
            return f"{where} {numbers} {status.get('reclaim', {}).get('stage')}"
        case "gpupools/status":
            status = body.get("status", {})
            return f"{where} {[status.get(k) for k in ('granted', 'lent')]}"
        case "events":
            about = body.get("involvedObject", {})
            return f"event {about.get('namespace')}/{about.get('name')} {body.get('reason')}"
        case _:
            return where
