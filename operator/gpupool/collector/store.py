"""What is known of one kind of object: projected values with list-and-diff semantics.

Decisions about quota rest on this, so three things must not happen: an object that was deleted
while a watch was broken stays (`replace` finds what is missing), a late event puts back an older
state or a deleted object (versions, and tombstones of our own deletes), our own write is not yet
seen by our next decision (`observe_write`).

resourceVersions are compared as integers. Kubernetes promises this order within one resource type
since 1.35 (KEP-5504) and every etcd-backed server before it behaved so; a kind served by an
extension API server may not, and is not kept in a Store.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from gpupool.kube.resources import Json, ObjectKey, key_of

T = TypeVar("T")


class ChangeKind(StrEnum):
    """What happened to a value."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One value that is not what it was.

    Attributes:
        kind: what happened.
        key: whose value.
        old: None when added.
        new: None when deleted.
    """

    kind: ChangeKind
    key: ObjectKey
    old: T | None
    new: T | None


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One object as it is kept.

    Attributes:
        key: where it lives.
        version: its resourceVersion.
        uid: which incarnation of the name it is.
        value: its projection; None for an object that is of no interest, which is still counted.
    """

    key: ObjectKey
    version: int
    uid: str
    value: T | None


class Store(Generic[T]):
    """Projected objects of one selection, by key. For one event loop; not thread-safe.

    Args:
        project: raw object to value; None for "not of interest". It must not raise on objects that
            the API server accepts.

    Attributes:
        version: the resourceVersion up to which the store is known to be complete.
    """

    def __init__(self, project: Callable[[Json], T | None]) -> None:
        self._project = project
        self._entries: dict[ObjectKey, Entry[T]] = {}
        # Tombstones: uids we deleted ourselves, until the list or the watch confirms it. Deletions
        # that the watch tells need none: what is absent was deleted, up to `version`.
        self._buried: set[str] = set()
        self._values: tuple[T, ...] | None = None
        self.version = 0

    # ------------------------------------------------------------------ read

    def get(self, key: ObjectKey) -> T | None:
        """Give one value."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def version_of(self, key: ObjectKey) -> int | None:
        """Give the resourceVersion at which an object was last seen."""
        entry = self._entries.get(key)
        return entry.version if entry else None

    def values(self) -> tuple[T, ...]:
        """Give all values in the order of their keys; the same tuple until something changes."""
        if self._values is None:
            ordered = (self._entries[key].value for key in sorted(self._entries))
            self._values = tuple(value for value in ordered if value is not None)
        return self._values

    def __len__(self) -> int:
        return len(self.values())

    @property
    def objects(self) -> int:
        """How many objects the server should have, those of no interest included."""
        return len(self._entries)

    def identities(self) -> frozenset[tuple[ObjectKey, str]]:
        """Keys and uids of all objects, to be compared with the server's."""
        return frozenset((entry.key, entry.uid) for entry in self._entries.values())

    def holds(self, key: ObjectKey, uid: str) -> bool:
        """Whether this incarnation of an object is there."""
        entry = self._entries.get(key)
        return entry is not None and entry.uid == uid

    @property
    def ahead(self) -> bool:
        """Whether it holds our own writes that the watch has not confirmed yet."""
        return bool(self._buried) or any(e.version > self.version for e in self._entries.values())

    # ----------------------------------------------------------------- write

    def entry(self, raw: Json) -> Entry[T]:
        """Project a raw object; the raw form need not be kept."""
        metadata = raw["metadata"]
        version, uid = int(metadata["resourceVersion"]), metadata["uid"]
        return Entry(key_of(raw), version, uid, self._project(raw))

    def replace(self, entries: Iterable[Entry[T]], version: int) -> tuple[Change[T], ...]:
        """Take a whole list as the truth of its moment and say what differs.

        What we know from after that moment (our own writes and deletes) is kept. A list older than
        what was complete before means that the server's history was rewound (a restored backup):
        then nothing that was known counts.

        Args:
            entries: the list.
            version: resourceVersion of the list.

        Returns:
            Values added, changed and deleted. Equal values are no change.
        """
        listed = {entry.key: entry for entry in entries}
        if version < self.version:
            self._buried.clear()
            newer: dict[ObjectKey, Entry[T]] = {}
        else:
            newer = {key: known for key, known in self._entries.items() if known.version > version}
            self._buried &= {entry.uid for entry in listed.values()}
            listed = {key: entry for key, entry in listed.items() if entry.uid not in self._buried}
        self.version = version
        return self._swap(listed | newer)

    def _swap(self, entries: dict[ObjectKey, Entry[T]]) -> tuple[Change[T], ...]:
        before, self._entries = self._entries, entries
        self._values = None
        return tuple(_differences(before, entries))

    def take(self, raw: Json) -> Change[T] | None:
        """Take one newer state of an object; what is known already, as our own write, is not read again."""
        metadata = raw["metadata"]
        if self._stale(key_of(raw), int(metadata["resourceVersion"]), metadata["uid"]):
            return None
        return self.upsert(self.entry(raw))

    def upsert(self, entry: Entry[T]) -> Change[T] | None:
        """Take one newer state of an object; older states and deleted objects are ignored."""
        if self._stale(entry.key, entry.version, entry.uid):
            return None
        known = self._entries.get(entry.key)
        self._entries[entry.key] = entry
        return self._changed(entry.key, known, entry)

    def delete(self, key: ObjectKey, uid: str, version: int) -> Change[T] | None:
        """Take a deletion that the watch told; a newer incarnation of the name stays.

        Args:
            key: where the object lived.
            uid: which incarnation was deleted.
            version: resourceVersion of the deletion.
        """
        self._buried.discard(uid)
        known = self._entries.get(key)
        return self._remove(known) if known and known.version <= version else None

    def observe_delete(self, key: ObjectKey, uid: str) -> Change[T] | None:
        """Take our own delete that the server confirmed, whose version it did not tell.

        Args:
            key: where the object lived.
            uid: which incarnation was deleted; no late event brings it back.
        """
        known = self._entries.get(key)
        if known is None or known.uid != uid:
            return None  # the watch was faster
        self._buried.add(uid)
        return self._remove(known)

    def observe_write(self, raw: Json) -> Change[T] | None:
        """Take the server's answer to our own write, so that the next snapshot holds it."""
        return self.take(raw)

    def progress(self, version: int) -> None:
        """Note that everything up to a version has been seen (an event or a bookmark)."""
        self.version = max(self.version, version)

    def _stale(self, key: ObjectKey, version: int, uid: str) -> bool:
        """Whether a state is known, or older than what is; or of an object that we deleted ourselves."""
        known = self._entries.get(key)
        # The store is complete up to its version, so an absent object of that age was deleted.
        seen = known.version if known else self.version
        return version <= seen or uid in self._buried

    def _remove(self, known: Entry[T]) -> Change[T] | None:
        del self._entries[known.key]
        return self._changed(known.key, known, None)

    def _changed(self, key: ObjectKey, old: Entry[T] | None, new: Entry[T] | None) -> Change[T] | None:
        change = _change(key, old, new)
        if change:
            self._values = None
        return change


def _differences(before: dict[ObjectKey, Entry[T]], after: dict[ObjectKey, Entry[T]]) -> Iterator[Change[T]]:
    for key in sorted(before.keys() | after.keys()):
        change = _change(key, before.get(key), after.get(key))
        if change:
            yield change


def _change(key: ObjectKey, before: Entry[T] | None, after: Entry[T] | None) -> Change[T] | None:
    old = before.value if before else None
    new = after.value if after else None
    if old == new:
        return None
    if old is None:
        return Change(ChangeKind.ADDED, key, None, new)
    if new is None:
        return Change(ChangeKind.DELETED, key, old, None)
    return Change(ChangeKind.CHANGED, key, old, new)
