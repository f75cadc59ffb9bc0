"""What makes two pods of one recipe: what the engine is started with, and nothing beside it."""

from typing import Any

import pytest

from gpupool.collector.recipes import inference_containers, recipe
from gpupool.model.objects import Container

ENGINE = {
    "image": "vllm:1",
    "args": ["--max-num-seqs", "64"],
    "env": [{"name": "A", "value": "1"}, {"name": "SECRET", "valueFrom": {}}],
    "resources": {"limits": {"nvidia.com/gpu": "1"}},
}


def of(*containers: dict[str, Any], **more: Any) -> str:
    return recipe({"containers": list(containers), **more})


@pytest.mark.parametrize(
    "change", [{"image": "vllm:2"}, {"args": ["--max-num-seqs", "128"]}, {"command": ["x"]}, {"env": []}]
)
def test_another_start_is_another_recipe(change: dict[str, Any]) -> None:
    assert of(ENGINE) != of({**ENGINE, **change})


def test_what_is_beside_the_engine_changes_nothing() -> None:
    other = {"name": "SECRET", "valueFrom": {"secretKeyRef": {}}}
    assert of(ENGINE) == of(
        {**ENGINE, "env": [other, ENGINE["env"][0]], "ports": []},  # type: ignore[index]
        {"image": "sidecar"},
        nodeName="n",
    )


def test_the_inference_containers_are_those_that_use_gpus() -> None:
    limited = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1", "cpu": "1500m"}}}
    free = {"name": "second", "resources": {"requests": {"nvidia.com/gpu": "1"}}}
    spec = {"containers": [limited, {"name": "proxy", "resources": {"limits": {"cpu": "1"}}}]}
    assert inference_containers(spec) == (Container("main", 1.5),)
    assert inference_containers({"containers": [free]}) == (Container("second"),)
    assert inference_containers({}) == ()
