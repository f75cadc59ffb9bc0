"""What an engine is started with, as a digest: two pods of one recipe are measured together. Pure."""

import hashlib
import json
from functools import lru_cache
from sys import intern

from gpupool.collector.quantities import pod_gpus
from gpupool.kube.resources import Json
from gpupool.model.objects import Container
from gpupool.model.quantity import amount

LENGTH = 12
"""Characters of a digest."""


def inference_containers(spec: Json) -> tuple[Container, ...]:
    """The containers that use GPUs, with their limits of CPU."""
    found = (c for c in spec.get("containers", ()) if pod_gpus({"containers": [c]}))
    return tuple(_container(c.get("name", ""), _limits(c).get("cpu")) for c in found)


def _limits(container: Json) -> Json:
    return (container.get("resources") or {}).get("limits") or {}


@lru_cache(maxsize=4096)
def _container(name: str, limit: str | None) -> Container:
    """One for all pods of a kind: there are ten thousands of them."""
    return Container(name, None if limit is None else amount(limit))


def recipe(spec: Json) -> str:
    """A digest of image, command, arguments and plain environment of the containers that use GPUs.

    A new label, a new sidecar or a rotated secret is no new recipe.
    """
    told = [
        (c.get("image"), c.get("command"), c.get("args"), _plain(c))
        for c in spec.get("containers", ())
        if pod_gpus({"containers": [c]})
    ]
    text = json.dumps(told, sort_keys=True)
    return intern(hashlib.blake2b(text.encode()).hexdigest()[:LENGTH])


def _plain(container: Json) -> list[tuple[str, str]]:
    return sorted((e["name"], e["value"]) for e in container.get("env", ()) if "value" in e)
