"""Values: every one is described, and a wrong one is refused before anything is installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chart.finding import RefusedError
from localplane.paths import CHART
from support.guides import Block, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = dict[str, Any]

WRONG = [
    ("polices.enabled=true", "polices"),
    ("policies.mutates=true", "mutates"),
    ("policies.mutate=Sometimes", "mutate"),
    ("image.digst=x", "digst"),
    ("image.digest=sha256:short", "digest"),
    ("image.pullPolicy=always", "pullPolicy"),
    ("prometheus.url=prometheus:9090", "url"),
    ("prometheus.adress=http://x", "adress"),
    ("metrics.port=0", "port"),
    ("metrics.port=http", "port"),
    ("health.prot=8081", "prot"),
    ("cycleInterval=0", "cycleInterval"),
    ("evaluationWindow=5s", "evaluationWindow"),
    ("logLevel=verbose", "logLevel"),
    ("exemptNamespaces[0]=Kube_System", "exemptNamespaces"),
    ("tolerations[0].effect=Never", "tolerations"),
    ("release.timeoutSeconds=5", "timeoutSeconds"),
    ("networkPolicy.apiServerPorts[0]=https", "apiServerPorts"),
    ("metrics.rules.runbookBaseUrl=", "runbookBaseUrl"),
    ("nodeSelector.gpu=true", "nodeSelector"),
    ("replicas=0", "replicas"),
    ("leaderElection.leaseSeconds=0", "leaseSeconds"),
]


WHOLE = {"resources", "affinity"}  # Kubernetes structures: described once, as a whole


@pytest.mark.parametrize(("value", "named"), WRONG)
def test_a_wrong_value_is_refused_by_name(render: Callable[..., list[Json]], value: str, named: str) -> None:
    with pytest.raises(RefusedError, match=named):
        render(value)


def test_every_object_of_the_schema_is_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    open_by_intent = {
        "global",  # helm hands it to every chart
        "requests", "limits",  # resource names are free
        "items",  # Kubernetes objects whose fields the API server checks
        "nodeAffinity", "podAffinity", "podAntiAffinity", "valueFrom",
    }  # fmt: skip
    for path, node in _objects(schema):
        assert "additionalProperties" in node or path[-1] in open_by_intent, "/".join(path)


def test_values_schema_and_descriptions_name_the_same_keys() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = (CHART / "values.yaml").read_text()
    known = set(_leaves(schema)) - {"global"}
    assert set(_described(text.splitlines())) == known
    values = yaml.safe_load(text)
    for path in known:
        node = values
        for key in path.split("."):
            node = node[key]


@pytest.mark.parametrize("block", values(), ids=str)
def test_the_values_of_a_guide_render_as_they_stand(
    helm: Callable[..., str], tmp_path: Path, block: Block
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(block.text)
    text = helm("template", "gpupool", str(CHART), "--kube-version=1.36.0", f"--values={file}")
    assert "registry.example.com/gpupool" in text


def _leaves(schema: Json, prefix: str = "") -> Iterator[str]:
    """Paths of the values that are set as a whole."""
    for key, child in schema["properties"].items():
        if "properties" in child and key not in WHOLE:
            yield from _leaves(child, f"{prefix}{key}.")
        else:
            yield prefix + key


def _described(lines: list[str]) -> Iterator[str]:
    """Paths of the keys that stand below a `# --` comment."""
    parents: list[str] = []
    told = False
    for line in lines:
        text = line.strip()
        if text.startswith("#"):
            told = told or text.startswith("# -- ")
        elif ":" in text and not text.startswith("-"):
            depth = (len(line) - len(line.lstrip())) // 2
            parents = [*parents[:depth], text.partition(":")[0]]
            if told:
                yield ".".join(parents)
            told = False


def _objects(node: Any, path: tuple[str, ...] = ("",)) -> Iterator[tuple[tuple[str, ...], Json]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, child in node.items():
            yield from _objects(child, (*path, key))
