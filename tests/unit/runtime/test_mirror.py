"""What a mirror keeps of our own kinds."""

import copy
import logging
from typing import Any

import pytest

from gpupool.model.pool import Pool
from gpupool.model.snapshot import Request
from gpupool.runtime import mirror
from gpupool.runtime.memo import memo
from support.manifests import example


def test_an_object_of_ours_is_kept_with_the_memory_of_its_status() -> None:
    status = {"granted": 8, "conditions": [{"type": "Granted", "status": "True", "lastTransitionTime": "t"}]}
    found = mirror._request(example("train-sam") | {"status": status})
    assert found is not None
    assert isinstance(found.value, Request)
    assert found.memo == memo(status)
    pool = mirror._pool(example("lab-pool"))
    assert pool is not None
    assert isinstance(pool.value, Pool)
    assert pool.memo == memo({})


def test_an_object_that_breaks_the_rules_is_named_in_the_log_and_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manifest: dict[str, Any] = copy.deepcopy(example("train-sam"))
    manifest["spec"]["gpus"] = 0
    with caplog.at_level(logging.WARNING):
        assert mirror._request(manifest) is None
    (record,) = caplog.records
    assert (record.__dict__["object"], record.__dict__["namespace"]) == ("train-sam", "vision-lab")
    assert "spec.gpus" in record.__dict__["error"]


def test_a_policy_is_its_kind_name_pool_and_version() -> None:
    meta = {"name": "gpupool-lab-pods", "resourceVersion": "9", "labels": {"gpupool.dev/pool": "lab"}}
    found = mirror._policy("ValidatingAdmissionPolicy")({"metadata": meta})
    assert (found.kind, found.name, found.pool, found.version) == (
        "ValidatingAdmissionPolicy",
        "gpupool-lab-pods",
        "lab",
        "9",
    )
