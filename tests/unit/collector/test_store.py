"""A store is never older than what it has seen, and never brings back what is gone."""

from typing import Any

from gpupool.collector.store import Change, ChangeKind, Entry, Store
from gpupool.kube.resources import ObjectKey

A, B = ObjectKey("ns", "a"), ObjectKey("ns", "b")


def gpus(raw: dict[str, Any]) -> int | None:
    value = raw.get("gpus")
    return None if value is None else int(value)


def raw(key: ObjectKey, version: int, gpus: int | None, uid: str = "") -> dict[str, Any]:
    metadata = {"namespace": key.namespace, "name": key.name, "resourceVersion": str(version)}
    return {"metadata": metadata | {"uid": uid or f"uid-{key.name}"}, "gpus": gpus}


def entry(key: ObjectKey, version: int, value: int | None, uid: str = "") -> Entry[int]:
    return Entry(key, version, uid or f"uid-{key.name}", value)


def filled() -> Store[int]:
    """Objects a (1 GPU) and b (2 GPUs), complete as of version 10."""
    store = Store(gpus)
    store.replace([entry(A, 4, 1), entry(B, 5, 2)], 10)
    return store


def test_the_first_list_adds_everything_in_key_order() -> None:
    store = Store(gpus)
    changes = store.replace([entry(B, 5, 2), entry(A, 4, 1)], 10)
    assert changes == (
        Change(ChangeKind.ADDED, A, None, 1),
        Change(ChangeKind.ADDED, B, None, 2),
    )
    assert store.values() == (1, 2)
    assert store.version == 10


def test_a_later_list_says_what_was_added_changed_and_deleted() -> None:
    store, c = filled(), ObjectKey("ns", "c")
    changes = store.replace([entry(A, 12, 7), entry(c, 13, 3)], 20)
    assert changes == (
        Change(ChangeKind.CHANGED, A, 1, 7),
        Change(ChangeKind.DELETED, B, 2, None),
        Change(ChangeKind.ADDED, c, None, 3),
    )


def test_an_equal_value_is_no_change_though_its_version_rose() -> None:
    store = filled()
    before = store.values()
    assert store.upsert(entry(A, 11, 1)) is None
    assert store.version_of(A) == 11
    assert store.values() is before


def test_a_newer_state_is_taken_and_an_older_one_ignored() -> None:
    store = filled()
    assert store.upsert(entry(A, 12, 8)) == Change(ChangeKind.CHANGED, A, 1, 8)
    assert store.upsert(entry(A, 11, 3)) is None
    assert store.get(A) == 8


def test_our_own_write_is_seen_before_the_watch_tells_it() -> None:
    store = filled()
    assert store.observe_write(raw(A, 15, 9)) == Change(ChangeKind.CHANGED, A, 1, 9)
    assert store.values() == (9, 2)
    assert store.ahead
    store.progress(15)
    assert not store.ahead


def test_a_list_from_before_our_write_does_not_undo_it() -> None:
    store, c = filled(), ObjectKey("ns", "c")
    store.observe_write(raw(A, 15, 9))
    store.observe_write(raw(c, 16, 3))
    assert store.replace([entry(A, 4, 1), entry(B, 5, 2)], 14) == ()
    assert store.values() == (9, 2, 3)


def test_a_list_from_after_our_write_replaces_it() -> None:
    store = filled()
    store.observe_write(raw(A, 15, 9))
    store.replace([entry(A, 18, 4)], 20)
    assert store.values() == (4,)


def test_a_deletion_that_the_watch_tells_removes_the_object() -> None:
    store = filled()
    assert store.delete(A, "uid-a", 11) == Change(ChangeKind.DELETED, A, 1, None)
    assert store.get(A) is None
    assert store.values() == (2,)


def test_a_late_answer_to_a_write_does_not_bring_back_a_deleted_object() -> None:
    store = filled()
    store.delete(A, "uid-a", 12)
    store.progress(12)
    assert store.observe_write(raw(A, 11, 9)) is None
    assert store.get(A) is None


def test_a_late_event_does_not_bring_back_what_we_deleted_ourselves() -> None:
    store = filled()
    assert store.observe_delete(A, "uid-a") == Change(ChangeKind.DELETED, A, 1, None)
    assert store.upsert(entry(A, 11, 1)) is None
    assert store.replace([entry(A, 11, 1), entry(B, 5, 2)], 11) == ()
    assert store.values() == (2,)


def test_our_deletion_is_settled_once_the_watch_confirms_it() -> None:
    store = filled()
    store.observe_delete(A, "uid-a")
    assert store.ahead
    store.delete(A, "uid-a", 12)
    store.progress(12)
    assert not store.ahead


def test_our_deletion_is_settled_by_a_list_without_the_object() -> None:
    store = filled()
    store.observe_delete(A, "uid-a")
    store.replace([entry(B, 5, 2)], 13)
    assert not store.ahead


def test_our_deletion_told_after_the_watch_leaves_no_trace() -> None:
    store = filled()
    store.delete(A, "uid-a", 12)
    store.progress(12)
    assert store.observe_delete(A, "uid-a") is None
    assert not store.ahead


def test_a_namesake_of_a_deleted_object_is_a_new_object() -> None:
    store = filled()
    store.observe_delete(A, "uid-a")
    assert store.upsert(entry(A, 13, 6, "uid-new")) == Change(ChangeKind.ADDED, A, None, 6)


def test_a_late_deletion_of_the_old_incarnation_leaves_the_new_one() -> None:
    store = filled()
    store.observe_write(raw(A, 14, 6, "uid-new"))
    assert store.delete(A, "uid-a", 13) is None
    assert store.observe_delete(A, "uid-a") is None
    assert store.get(A) == 6


def test_an_object_that_leaves_the_selection_may_come_back() -> None:
    store = filled()
    store.delete(A, "uid-a", 11)
    store.progress(11)
    assert store.upsert(entry(A, 12, 1)) == Change(ChangeKind.ADDED, A, None, 1)


def test_a_list_older_than_the_store_is_a_restored_backup_and_wins() -> None:
    store = filled()
    store.observe_write(raw(A, 15, 9))
    changes = store.replace([entry(B, 3, 5)], 8)
    assert changes == (Change(ChangeKind.DELETED, A, 9, None), Change(ChangeKind.CHANGED, B, 2, 5))
    assert store.version == 8


def test_a_restored_backup_with_a_raised_revision_wins_over_newer_looking_objects() -> None:
    store = Store(gpus)
    store.replace([entry(A, 100, 4)], 110)
    store.replace([entry(A, 80, 1)], 1_000_000)
    assert store.get(A) == 1


def test_objects_of_no_interest_are_counted_and_not_shown() -> None:
    store = Store(gpus)
    changes = store.replace([entry(A, 4, None), entry(B, 5, 2)], 10)
    assert [change.key for change in changes] == [B]
    assert (len(store), store.objects, store.values()) == (1, 2, (2,))


def test_an_object_that_loses_our_interest_is_a_deletion_and_then_an_addition() -> None:
    store = filled()
    assert store.upsert(entry(A, 11, None)) == Change(ChangeKind.DELETED, A, 1, None)
    assert store.upsert(entry(A, 12, 1)) == Change(ChangeKind.ADDED, A, None, 1)


def test_a_value_of_zero_is_a_value() -> None:
    store = Store(gpus)
    assert store.upsert(entry(A, 1, 0)) == Change(ChangeKind.ADDED, A, None, 0)
    assert store.values() == (0,)


def test_the_snapshot_is_the_same_tuple_until_something_changes() -> None:
    store = filled()
    assert store.values() is store.values()
    before = store.values()
    store.upsert(entry(A, 11, 5))
    assert store.values() is not before
    assert before == (1, 2)
