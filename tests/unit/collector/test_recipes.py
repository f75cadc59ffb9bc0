"""What makes two pods of one recipe: what the engine is started with, and nothing beside it."""

from typing import Any

import pytest

from gpupool.collector.recipes import recipe

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
