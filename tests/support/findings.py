"""What the captured changes prove: law 2 at every revision, timers kept, nothing done twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from support.capture import Record
from support.commitments import Json, Key, Objects, Sum, hard, sums

TIMERS = "gpupool.dev/timers"
COUNTED = {"quotas", "pods", "nodes", "pools"}
SHOWN = 5


@dataclass
class Findings:
    """Counts, and words for what must not be.

    Attributes:
        revisions: states looked at, one after every change that matters.
        oversold: states in which more was committed than there is.
        raised: raises of a wall that ended in such a state.
        moved: timers that were shortened.
        again: takings that were begun a second time, as after a lost notice.
        doubled: things done or said twice.
    """

    revisions: int = 0
    raises: int = 0
    lowerings: int = 0
    ended: int = 0
    timers: int = 0
    oversold: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def study(start: dict[str, dict[Key, Json]], records: Iterable[Record]) -> Findings:
    """Go through all changes in order."""
    records = list(records)
    found = Findings()
    _replay(start, records, found)
    _timers(start, records, found)
    _deadlines(records, found)
    _events(records, found)
    return found


def stages(records: Iterable[Record], namespace: str, name: str) -> list[str]:
    """The stages a timer went through, in order, from the first one; an empty one where it was gone."""
    path: list[str] = []
    for record in records:
        if record.kind == "quotas" and record.key[0] == namespace:
            stage = "" if record.gone else str(timers_of(record.obj).get(name, {}).get("stage", ""))
            if stage != (path[-1] if path else ""):
                path.append(stage)
    return path


def timers_of(quota: Json) -> dict[str, Json]:
    """The timers that stand on a quota of ours."""
    text = (quota["metadata"].get("annotations") or {}).get(TIMERS, "{}")
    found: dict[str, Json] = json.loads(text)
    return found


# ---------------------------------------------------------------------- law 2


def _replay(start: dict[str, dict[Key, Json]], records: Iterable[Record], found: Findings) -> None:
    objects = Objects(**{kind: dict(start[kind]) for kind in COUNTED})
    books = sums(objects)
    for record in (r for r in records if r.kind in COUNTED):
        place = getattr(objects, record.kind)
        before = place.pop(record.key, None)
        if not record.gone:
            place[record.key] = record.obj
        found.ended += record.kind == "pods" and _ends(before, record)
        change = _change(before, record)
        found.raises += change > 0
        found.lowerings += change < 0
        found.revisions += 1
        earlier, books = books, sums(objects)
        for (pool, resource), book in books.items():
            if book.excess:
                text = describe(pool, resource, book, f"at {record.version} by {_name(record)}")
                found.oversold.append(text)
                if record.kind == "quotas" and _more(earlier.get((pool, resource)), book, record.key[0]):
                    found.raised.append(text)


def describe(pool: str, resource: str, book: Sum, where: str) -> str:
    """One oversold state in words."""
    rows = ", ".join(f"{n}={row}" for n, row in sorted(book.rows.items()))
    return (
        f"{pool} {resource} {where}: {book.committed} of {book.capacity}; (hard, in force, used, held) {rows}"
    )


def _more(earlier: Sum | None, book: Sum, namespace: str) -> bool:
    """Whether a namespace may take more than a moment ago."""
    rows = [b.rows.get(namespace, (0,)) if b else (0,) for b in (earlier, book)]
    return max(rows[1]) > max(rows[0])


def _change(before: Json | None, record: Record) -> int:
    """By how many GPUs a wall moved; a wall that comes or goes is no move."""
    if record.kind != "quotas" or before is None or record.gone:
        return 0
    moved = 0
    for key in before["spec"].get("hard", {}):
        resource = key.removeprefix("requests.")
        new = hard(record.obj, resource)
        moved += 0 if new is None else new - (hard(before, resource) or 0)
    return moved


def _ends(before: Json | None, record: Record) -> bool:
    """Whether somebody asked this pod to go just now."""
    was = before is not None and "deletionTimestamp" in before["metadata"]
    return not was and (record.gone or "deletionTimestamp" in record.obj["metadata"])


def _name(record: Record) -> str:
    return f"{record.kind} {'/'.join(p for p in record.key if p)}{' (gone)' if record.gone else ''}"


# ---------------------------------------------------------------------- timers


def _timers(start: dict[str, dict[Key, Json]], records: Iterable[Record], found: Findings) -> None:
    """A deadline may only move later; a notice that vanished must not begin anew."""
    last: dict[tuple[str, str], Json] = {}
    begun: Counter[tuple[str, str, str]] = Counter()
    quotas = [Record(0, "quotas", q) for q in start["quotas"].values()]
    for record in (*quotas, *(r for r in records if r.kind == "quotas" and not r.gone)):
        namespace = record.key[0]
        present = timers_of(record.obj)
        for name in {n for ns, n in last if ns == namespace} | set(present):
            old, new = last.pop((namespace, name), None), present.get(name)
            if new is None:
                continue
            last[namespace, name] = new
            if old is None or old["stage"] != new["stage"]:
                found.timers += 1
                begun[namespace, name, new["stage"]] += 1
            elif _sooner(old, new):
                found.moved.append(f"{namespace}/{name} moved sooner at {record.version}: {old} -> {new}")
    found.again += [f"{'/'.join(k)} begun {n} times" for k, n in begun.items() if n > 1]


def _deadlines(records: Iterable[Record], found: Findings) -> None:
    """The same for what the requests' statuses say."""
    last: dict[str, Json] = {}
    for record in (r for r in records if r.kind == "requests" and not r.gone):
        uid, now = record.obj["metadata"]["uid"], record.obj.get("status", {}).get("reclaim") or {}
        before = last.get(uid, {})
        if before.get("stage") == now.get("stage") and _sooner(before, now):
            found.moved.append(f"status of {'/'.join(record.key)} moved sooner: {before} -> {now}")
        last[uid] = now


def _sooner(old: Json, new: Json) -> bool:
    moments = [m.get("deadline") for m in (old, new)]
    if moments[0] is None:
        return False
    return moments[1] is None or datetime.fromisoformat(moments[1]) < datetime.fromisoformat(moments[0])


# ---------------------------------------------------------------------- twice


def _events(records: Iterable[Record], found: Findings) -> None:
    told: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for record in records:
        if record.kind == "events" and record.obj.get("source", {}).get("component") == "gpupool":
            about = record.obj["involvedObject"]
            words = (about["kind"], about.get("name", ""), about.get("uid", ""), record.obj["reason"])
            told[*words, record.obj["message"]].add(record.obj["metadata"]["name"])
    found.doubled += [f"Event told twice: {' '.join(what)}" for what, names in told.items() if len(names) > 1]


def first(words: list[str]) -> str:
    """The first few of many."""
    return "\n".join(_cut(words))


def _cut(words: list[str]) -> Iterator[str]:
    yield from words[:SHOWN]
    if len(words) > SHOWN:
        yield f"... and {len(words) - SHOWN} more"
