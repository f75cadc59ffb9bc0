"""Generated files are current, and say what the API server needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from gpupool.api import generate
from gpupool.api.crd import definition, render
from gpupool.api.kinds import KINDS, Kind
from gpupool.api.schema import structural


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from nodes(schema[key], f"{path}{mark}")


def fields(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    root = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return [node for part in ("spec", "status") for node in nodes(root[part], part)]


def test_the_generated_files_are_current() -> None:
    assert generate.stale() == [], "run `make generate`"


def test_the_check_exits_1_on_a_difference_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check", "--root", str(tmp_path)]) == 1
    assert "not current: crds/gpupool.dev_gpupools.yaml" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_writing_makes_the_check_pass_and_a_second_writing_idle(tmp_path: Path) -> None:
    assert generate.main(["--root", str(tmp_path)]) == 0
    assert generate.main(["--check", "--root", str(tmp_path)]) == 0
    assert generate.write(tmp_path) == []
    (tmp_path / generate.REFERENCE).write_text("by hand")
    assert generate.main(["--check", "--root", str(tmp_path)]) == 1


def test_the_chart_carries_the_same_crds() -> None:
    texts = generate.outputs()
    for kind in KINDS:
        name = f"gpupool.dev_{kind.plural}.yaml"
        assert texts[f"crds/{name}"] == texts[f"charts/gpupool/files/crds/{name}"] == render(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_is_described(kind: Kind) -> None:
    plain = ("[]", ".*")
    assert [
        path for path, node in fields(kind) if not node.get("description") and not path.endswith(plain)
    ] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_list_and_map_is_bounded(kind: Kind) -> None:
    unbounded = [
        path
        for path, node in fields(kind)
        if ("items" in node and "maxItems" not in node)
        or ("additionalProperties" in node and "maxProperties" not in node)
    ]
    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_text_is_bounded(kind: Kind) -> None:
    bounds = {"maxLength", "enum"}
    unbounded = [
        path
        for path, node in fields(kind)
        if node["type"] == "string" and not bounds & node.keys() and node.get("format") != "date-time"
    ]
    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_field_hides_a_typo(kind: Kind) -> None:
    assert "preserve-unknown-fields" not in render(kind)
    assert "anyOf" not in render(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_rule_says_how_to_put_it_right(kind: Kind) -> None:
    version = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rules = [rule for _, node in nodes(version, "") for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    advice = ("write ", "give ", "name ", "raise ", "keep ", "add ", "delete ", "take ", "letters")
    assert [rule["message"] for rule in rules if not any(word in rule["message"] for word in advice)] == []


def test_the_crd_is_yaml_without_anchors() -> None:
    for kind in KINDS:
        text = render(kind)
        assert yaml.safe_load(text) == yaml.safe_load(render(kind))
        assert "&id" not in text


def test_a_union_of_two_types_has_no_structural_schema() -> None:
    class Either(BaseModel):
        value: int | str

    with pytest.raises(ValueError, match="no unions"):
        structural(Either)


def test_a_keyword_the_api_server_does_not_know_is_refused() -> None:
    class Multiple(BaseModel):
        value: dict[str, int]

        model_config = {"json_schema_extra": {"x-unheard-of": True}}

    with pytest.raises(ValueError, match="no 'x-unheard-of'"):
        structural(Multiple)


def test_the_reference_page_names_every_field_of_both_kinds() -> None:
    page = generate.outputs()[generate.REFERENCE]
    for path in (
        "spec.shares[].namespaces",
        "spec.recall.within",
        "spec.minGpus",
        "status.decision.blockers[].gpus",
    ):
        assert f"`{path}`" in page
