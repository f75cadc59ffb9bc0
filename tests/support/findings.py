"""What the captured changes prove: law 2 at every revision, timers kept, nothing done twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from support.capture import Record
from support.commitments import Fleet, Json, Key, Objects, Sum, hard, sums

TIMERS = "gpupool.dev/timers"
COUNTED = {"quotas", "pods", "nodes", "pools"}


@dataclass
class Findings:
    """Counts, and words for what must not be.

    Attributes:
        revisions: states looked at, one after every change that matters.
        oversold: states in which more was committed than there is, or than there was before nodes were lost.
        excused: states in which the GPUs of a lost node are missing, and no more than those.
        raised: raises of a wall that ended in such a state.
        moved: timers that were shortened.
        again: takings that were begun a second time, as after a lost notice, since anybody asked otherwise.
        doubled: things done or said twice.
    """

    revisions: int = 0
    raises: int = 0
    lowerings: int = 0
    ended: int = 0
    timers: int = 0
    oversold: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def study(start: dict[str, dict[Key, Json]], records: Iterable[Record], *, per_ask: bool = False) -> Findings:
    """Go through all changes in order.

    Args:
        start: objects of each kind before the first change.
        records: the changes.
        per_ask: whether a taking may begin anew when any team has asked for something else.
    """
    records = list(records)
    found = Findings()
    _replay(start, records, found)
    _timers(start, records, found, per_ask=per_ask)
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
    objects, fleet = Objects(**{kind: dict(start[kind]) for kind in COUNTED}), Fleet()
    fleet.see(objects.nodes)
    books = sums(objects)
    for record in (r for r in records if r.kind in COUNTED):
        before = _put(objects, record)
        fleet.see(objects.nodes if record.kind == "nodes" else {})
        found.ended += record.kind == "pods" and _ends(before, record)
        change = _change(before, record)
        found.raises += change > 0
        found.lowerings += change < 0
        found.revisions += 1
        earlier, books = books, sums(objects)
        excess(objects, fleet, f"at {record.version} by {_name(record)}", found.oversold, found.excused)
        found.raised += _raised(record, earlier, books)


def _put(objects: Objects, record: Record) -> Json | None:
    """Bring the objects to the state after a change; what was there before."""
    place: dict[Key, Json] = getattr(objects, record.kind)
    before = place.pop(record.key, None)
    if not record.gone:
        place[record.key] = record.obj
    return before


def excess(objects: Objects, fleet: Fleet, where: str, oversold: list[str], excused: list[str]) -> None:
    """Tell what is oversold at one moment, apart from what lost nodes left uncovered."""
    over = {key: book for key, book in sums(objects).items() if book.excess}
    whole = sums(fleet.whole(objects)) if over else {}
    for (pool, resource), book in over.items():
        place = oversold if whole[pool, resource].excess else excused
        place.append(describe(pool, resource, book, where))


def _raised(record: Record, earlier: dict[Key, Sum], books: dict[Key, Sum]) -> Iterator[str]:
    """Raises of a wall that end in an excess, whatever it comes from."""
    for (pool, resource), book in books.items():
        more = record.kind == "quotas" and _more(earlier.get((pool, resource)), book, record.key[0])
        if book.excess and more:
            yield describe(pool, resource, book, f"at {record.version} by {_name(record)}")


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


def _timers(
    start: dict[str, dict[Key, Json]], records: Iterable[Record], found: Findings, *, per_ask: bool
) -> None:
    """A deadline may only move later; a notice that vanished must not begin anew."""
    last: dict[tuple[str, str], Json] = {}
    begun: Counter[tuple[str, str, str, int]] = Counter()
    quotas = [Record(0, "quotas", q) for q in start["quotas"].values()]
    for ask, record in _by_ask((*quotas, *records)):
        namespace = record.key[0]
        present = timers_of(record.obj)
        for name in {n for ns, n in last if ns == namespace} | set(present):
            old, new = last.pop((namespace, name), None), present.get(name)
            if new is None:
                continue
            last[namespace, name] = new
            if old is None or old["stage"] != new["stage"]:
                found.timers += 1
                begun[namespace, name, new["stage"], ask if per_ask else 0] += 1
            elif _sooner(old, new):
                found.moved.append(f"{namespace}/{name} moved sooner at {record.version}: {old} -> {new}")
    found.again += [
        f"{namespace}/{name} {stage} begun {number} times"
        for (namespace, name, stage, _), number in begun.items()
        if number > 1
    ]


def _by_ask(records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
    """Quotas as they stood, each with the number of asks that had been made, changed or taken back."""
    asks: set[tuple[str, int]] = set()
    for record in records:
        if record.kind == "requests":
            metadata = record.obj["metadata"]
            asks.add((metadata["uid"], -1 if record.gone else metadata["generation"]))
        elif record.kind == "quotas" and not record.gone:
            yield len(asks), record


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
