"""Objects that break the rules are told, and cost nobody what the last valid version gave."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gpupool.api import convert, remnants
from gpupool.collector.store import Change, ChangeKind, Entry, Store
from gpupool.kube.resources import key_of
from gpupool.model.objects import Request
from gpupool.model.pool import Pool
from gpupool.runtime.memo import memo
from gpupool.runtime.reading import Reader
from support.manifests import example

Json = dict[str, Any]


def raw(uid: str = "u1", **spec: Any) -> Json:
    """A request; one whose spec is another has another number, as the API server sees to it."""
    return {
        "metadata": {"name": "train", "namespace": "vision", "uid": uid, "generation": 2 if spec else 1},
        "spec": {
            "gpus": 4,
            "owner": {"team": "vision", "contact": "vision@example.com"},
            "workload": {"selector": {"matchLabels": {"app": "train"}}},
            "expectedUtilization": 80,
            **spec,
        },
    }


def a_reader() -> Reader:
    return Reader("CapacityRequest", convert.request, remnants.request, convert.again)


def there(*objects: Json) -> Store[Json]:
    """A store of these objects."""
    found: Store[Json] = Store(lambda raw: raw)
    found.replace([Entry(key_of(o), 1, o["metadata"]["uid"], o) for o in objects], 1)
    return found


def gpus(reader: Reader, obj: Json) -> int | None:
    found = reader(obj)
    if found is None:
        return None
    assert isinstance(found.value, Request)
    return found.value.gpus


def test_an_object_of_ours_is_kept_with_the_memory_of_its_status() -> None:
    status = {"granted": 8, "conditions": [{"type": "Granted", "status": "True", "lastTransitionTime": "t"}]}
    found = a_reader()(example("train-sam") | {"status": status})
    assert found is not None
    assert found.memo == memo(status)
    pool = Reader("GpuPool", convert.pool)(example("lab-pool"))
    assert pool is not None
    assert isinstance(pool.value, Pool)
    assert pool.memo == memo({})


def test_a_mistake_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert a_reader()(raw(gpus=0)) is None
    (record,) = caplog.records
    assert (record.__dict__["object"], record.__dict__["namespace"]) == ("train", "vision")
    assert "spec.gpus" in record.__dict__["error"]


def test_the_last_valid_version_stays_in_force_and_the_mistake_is_named() -> None:
    reader = a_reader()
    assert gpus(reader, raw()) == 4
    assert gpus(reader, raw(gpus=6, expectedUtilization=150)) == 4
    (told,) = reader.complaints(there(raw()))
    assert (told.reason, told.warning) == ("Invalid", True)
    assert "spec.expectedUtilization (150)" in told.message
    assert "last valid version stays in force" in told.message


def test_a_correction_ends_the_complaint() -> None:
    reader = a_reader()
    reader(raw(expectedUtilization=150))
    assert gpus(reader, raw(gpus=6)) == 6
    assert reader.complaints(there(raw())) == ()


def test_what_never_was_valid_is_not_looked_at() -> None:
    reader = a_reader()
    assert gpus(reader, raw(expectedUtilization=150)) is None
    (told,) = reader.complaints(there(raw()))
    assert "It is not looked at until this is corrected." in told.message


def test_what_was_granted_to_a_request_that_this_process_never_could_read_is_not_lost() -> None:
    reader = a_reader()
    broken = raw(expectedUtilization=150) | {"status": {"granted": 4, "askedGpus": 6}}
    assert gpus(reader, broken) == 6
    (told,) = reader.complaints(there(broken))
    assert "stays in force" in told.message


def test_a_broken_request_has_the_memory_of_its_present_status() -> None:
    reader = a_reader()
    reader(raw())
    found = reader(raw(expectedUtilization=150) | {"status": {"granted": 4, "allowance": 1}})
    assert found is not None
    assert isinstance(found.value, Request)
    assert (found.value.gpus, found.value.remembered.allowance) == (4, 1)


def test_a_broken_pool_stays_as_it_was() -> None:
    reader = Reader("GpuPool", convert.pool)
    pool = example("lab-pool")
    before = reader(pool)
    assert before is not None
    again = reader(pool | {"spec": {"nodes": {}}})
    assert again is not None
    assert again.value == before.value


def test_a_namesake_inherits_nothing() -> None:
    reader = a_reader()
    reader(raw(uid="old"))
    assert gpus(reader, raw(uid="new", expectedUtilization=150)) is None


def test_what_is_gone_is_forgotten() -> None:
    reader = a_reader()
    reader(raw())
    reader(raw(expectedUtilization=150))
    assert reader.complaints(there()) == ()
    assert gpus(reader, raw(expectedUtilization=150)) is None


def test_what_is_gone_is_forgotten_without_being_asked_for_complaints() -> None:
    reader = a_reader()
    old, new = reader(raw(uid="old")), reader(raw(uid="new"))
    assert old
    assert new
    key = key_of(raw())
    reader.forget(Change(ChangeKind.ADDED, key, None, old))
    reader.forget(Change(ChangeKind.CHANGED, key, old, old))
    assert gpus(reader, raw(uid="old", expectedUtilization=150)) == 4, "it is there still"
    reader.forget(Change(ChangeKind.CHANGED, key, old, new))
    assert gpus(reader, raw(uid="old", expectedUtilization=150)) is None, "another is in its place"
    reader.forget(Change(ChangeKind.DELETED, key, new, None))
    assert gpus(reader, raw(uid="new", expectedUtilization=150)) is None


def test_a_status_that_moves_leaves_the_spec_as_it_was_read() -> None:
    read: list[Any] = []

    def reading(obj: Any) -> Request:
        read.append(obj)
        return convert.request(obj)

    reader = Reader("CapacityRequest", reading, again=convert.again)
    assert gpus(reader, raw()) == 4
    found = reader(raw() | {"status": {"granted": 4, "phase": "Granted"}})
    assert found is not None
    assert isinstance(found.value, Request)
    assert (found.value.gpus, found.value.remembered.granted, len(read)) == (4, 4, 1)
    assert (gpus(reader, raw(gpus=6)), len(read)) == (6, 2)
