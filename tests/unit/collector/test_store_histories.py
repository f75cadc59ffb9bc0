"""Whatever the order in which news arrives, a store ends as the server ended."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from gpupool.collector.store import Entry, Store
from gpupool.kube.resources import ObjectKey

names = st.sampled_from(["a", "b", "c"])


def value_of(raw: dict[str, Any]) -> int:
    return int(raw["value"])


class Histories(RuleBasedStateMachine):
    """A model of the API server (a revision per change, the log of a watch) and a store that follows it.

    Answers to our writes may come late, lists may be overtaken by our writes, watches lag.
    """

    def __init__(self) -> None:
        super().__init__()
        self.revision = 0
        self.objects: dict[str, Entry[int]] = {}
        self.log: list[tuple[bool, Entry[int]]] = []  # (deleted, entry)
        self.watched = 0  # events of the log that were told
        self.listed: tuple[list[Entry[int]], int, int] | None = None  # items, revision, length of the log
        self.late: list[Entry[int]] = []
        self.store: Store[int] = Store(value_of)

    def change(self, name: str) -> Entry[int]:
        self.revision += 1
        known = self.objects.get(name)
        uid = known.uid if known else f"{name}-{self.revision}"
        self.objects[name] = Entry(ObjectKey("", name), self.revision, uid, self.revision)
        self.log.append((False, self.objects[name]))
        return self.objects[name]

    def remove(self, name: str) -> Entry[int] | None:
        gone = self.objects.pop(name, None)
        if gone:
            self.revision += 1
            self.log.append((True, Entry(gone.key, self.revision, gone.uid, None)))
        return gone

    @rule(name=names)
    def we_write(self, name: str) -> None:
        written = self.change(name)
        self.store.upsert(written)
        assert self.store.get(written.key) == written.value

    @rule(name=names)
    def we_write_and_the_answer_is_late(self, name: str) -> None:
        self.late.append(self.change(name))

    @precondition(lambda self: self.late)
    @rule()
    def a_late_answer_comes(self) -> None:
        self.store.upsert(self.late.pop(0))

    @rule(name=names)
    def we_delete(self, name: str) -> None:
        gone = self.remove(name)
        if gone:
            self.store.observe_delete(gone.key, gone.uid)
            assert (gone.key, gone.uid) not in self.store.identities()

    @rule(name=names)
    def somebody_deletes(self, name: str) -> None:
        self.remove(name)

    @precondition(lambda self: self.listed is None and self.watched < len(self.log))
    @rule()
    def the_watch_tells(self) -> None:
        deleted, entry = self.log[self.watched]
        if deleted:
            self.store.delete(entry.key, entry.uid, entry.version)
        else:
            self.store.upsert(entry)
        self.store.progress(entry.version)
        self.watched += 1

    @precondition(lambda self: self.listed is None)
    @rule()
    def a_list_begins(self) -> None:
        self.listed = (list(self.objects.values()), self.revision, len(self.log))

    @precondition(lambda self: self.listed is not None)
    @rule()
    def the_list_arrives(self) -> None:
        assert self.listed is not None
        items, revision, self.watched = self.listed
        self.listed = None
        self.store.replace(items, revision)

    @invariant()
    def snapshots_are_in_the_order_of_keys(self) -> None:
        known = sorted(self.store.identities())
        assert self.store.values() == tuple(self.store.get(key) for key, _ in known)

    @override
    def teardown(self) -> None:
        if self.listed is not None:
            self.the_list_arrives()
        while self.watched < len(self.log):
            self.the_watch_tells()
        while self.late:
            self.a_late_answer_comes()
        assert self.store.values() == tuple(entry.value for _, entry in sorted(self.objects.items()))
        assert not self.store.ahead


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
