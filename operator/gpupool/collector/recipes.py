"""What an engine is started with, as a digest: two pods of one recipe are measured together. Pure."""

import hashlib
import json
from sys import intern

from gpupool.collector.quantities import pod_gpus
from gpupool.kube.resources import Json

LENGTH = 12
"""Characters of a digest."""


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
