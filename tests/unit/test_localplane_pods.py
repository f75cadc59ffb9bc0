"""What the runner reads from a pod: commands, variables, references, images."""

from typing import Any

import pytest

from localplane.runner.podspec import PodSpec, parse_pod
from localplane.runner.settings import repository
from localplane.runner.variables import ConfigError, container_environment, expand, field_value

DATA = {("ConfigMap", "told"): {"colour": "green"}, ("Secret", "hidden"): {"word": "sesame"}}


def lookup(kind: str, name: str) -> dict[str, str]:
    if (kind, name) not in DATA:
        raise ConfigError(f"{kind} {name} does not exist")
    return DATA[kind, name]


def pod(**container: Any) -> PodSpec:
    metadata = {"name": "p", "namespace": "n", "uid": "u", "labels": {"a/b": "c"}}
    spec = {"containers": [{"name": "main", "image": "gpupool:1", **container}], "nodeName": "node-1"}
    return parse_pod({"metadata": metadata, "spec": spec})


def environment(*env: dict[str, Any]) -> dict[str, str]:
    spec = pod(env=list(env))
    return container_environment(spec, spec.containers[0], lookup)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("gpupool", "gpupool"),
        ("gpupool:0.1.0", "gpupool"),
        ("ghcr.io/acme/gpupool:0.1.0", "ghcr.io/acme/gpupool"),
        ("localhost:5000/gpupool", "localhost:5000/gpupool"),
        ("localhost:5000/gpupool:1@sha256:abc", "localhost:5000/gpupool"),
    ],
)
def test_an_image_is_known_by_its_repository(image: str, expected: str) -> None:
    assert repository(image) == expected


def test_a_pod_without_command_runs_the_images_entry_point() -> None:
    assert pod(args=["run"]).containers[0].argv == ("gpupool", "run")
    assert pod(command=["sh", "-c"], args=["true"]).containers[0].argv == ("sh", "-c", "true")


def test_probes_other_than_http_are_left_out_and_http_ones_get_the_servers_defaults() -> None:
    subject = pod(
        readinessProbe={"httpGet": {"path": "/r", "port": "health"}, "periodSeconds": 5},
        livenessProbe={"exec": {"command": ["true"]}},
    ).containers[0]
    assert subject.readiness is not None
    assert (subject.readiness.period, subject.readiness.failures, subject.readiness.port) == (5, 3, "health")
    assert subject.liveness is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)-x", "1-x"), ("$(MISSING)", "$(MISSING)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("", "")],
)
def test_references_expand_as_in_kubernetes(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_variables_come_from_values_fields_config_and_secrets() -> None:
    assert environment(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2"},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "told", "key": "colour"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
        {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
        {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "G", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
    ) == {"A": "1", "B": "12", "C": "green", "D": "sesame", "E": "c", "F": "node-1"}


@pytest.mark.parametrize(
    "source",
    [
        {"configMapKeyRef": {"name": "none", "key": "x"}},
        {"configMapKeyRef": {"name": "told", "key": "shape"}},
        {"resourceFieldRef": {"resource": "limits.cpu"}},
    ],
)
def test_a_reference_that_leads_nowhere_is_an_error(source: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        environment({"name": "A", "valueFrom": source})


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(ConfigError, match=r"status\.phase"):
        field_value(pod(), "status.phase")
