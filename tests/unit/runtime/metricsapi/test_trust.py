"""Who the front proxy is, and who is not."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from gpupool.runtime.metricsapi.trust import FrontProxy, common_name, read, refused
from localplane.certs import write_certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("certs")
    write_certificates(folder)
    return (folder / "ca.crt").read_text()


def config(authority: str, names: list[str] | None) -> dict[str, Any]:
    data = {"requestheader-client-ca-file": authority}
    if names is not None:
        data["requestheader-allowed-names"] = json.dumps(names)
    return {"data": data}


def shown(name: str) -> dict[str, Any]:
    return {"subject": ((("organizationName", "x"),), (("commonName", name),))}


def test_the_config_map_says_who_signs_and_which_names_are_allowed(authority: str) -> None:
    assert read(config(authority, ["front-proxy"])) == FrontProxy(authority, frozenset({"front-proxy"}))
    assert read(config(authority, None)).names == frozenset()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "--requestheader-client-ca-file is not set"),
        ({"data": {"requestheader-client-ca-file": " "}}, "is not set"),
        ({"data": {"requestheader-client-ca-file": "no certificate"}}, "cannot be read"),
    ],
)
def test_without_an_aggregation_layer_it_is_said(data: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(data)


def test_only_a_name_that_is_allowed_is_answered() -> None:
    named, any_name = FrontProxy("", frozenset({"front-proxy"})), FrontProxy("")
    assert refused(named, shown("front-proxy")) is None
    assert refused(any_name, shown("whoever")) is None
    for certificate, status in ((None, HTTPStatus.UNAUTHORIZED), ({}, HTTPStatus.UNAUTHORIZED)):
        found = refused(any_name, certificate)
        assert found is not None
        assert found.status == status
    found = refused(named, shown("admin"))
    assert found is not None
    assert (found.status, "'admin'" in found.body["message"]) == (HTTPStatus.FORBIDDEN, True)


def test_a_certificate_without_a_name_has_none() -> None:
    assert common_name({"subject": ((("organizationName", "x"),),)}) == ""
