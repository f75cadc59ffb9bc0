"""What `gpupool check` looks at: all kinds, and the guards of the chart."""

from typing import Any, cast

import pytest

from gpupool.cli.check import MissingError, _Install
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import VALIDATING_BINDINGS, VALIDATING_POLICIES, Selection
from gpupool.runtime.settings import Settings

GUARDS = ("gpupool-quota-guard", "gpupool-use")
KINDS = frozenset({"gpupools", "capacityrequests", "inferenceslos"})


class Server:
    """Serves kinds, and has policies and bindings of these names."""

    def __init__(
        self, *, kinds: frozenset[str] = KINDS, policies: Any = GUARDS, bindings: Any = GUARDS
    ) -> None:
        self.kinds = kinds
        self.names = {VALIDATING_POLICIES: policies, VALIDATING_BINDINGS: bindings}

    async def has_resource(self, _group: str, _version: str, plural: str) -> bool:
        return plural in self.kinds

    async def list_all(self, place: Selection) -> list[dict[str, Any]]:
        assert place.labels == "app.kubernetes.io/name=gpupool"
        spec = {"validationActions": ["Deny"]}
        return [
            {"metadata": {"name": n, "resourceVersion": "1"}, "spec": spec | {"policyName": n}}
            for n in self.names[place.resource]
        ]


def install(server: Server, *guards: str) -> _Install:
    return _Install(cast("KubeClient", server), Settings(guards=guards))


async def test_all_three_kinds_are_asked_for() -> None:
    said = await install(Server()).kinds()
    assert said == "GpuPool, CapacityRequest and InferenceSLO are served"


@pytest.mark.parametrize(
    ("plural", "kind"),
    [("gpupools", "GpuPool"), ("capacityrequests", "CapacityRequest"), ("inferenceslos", "InferenceSLO")],
)
async def test_a_kind_that_is_not_served_is_named(plural: str, kind: str) -> None:
    with pytest.raises(MissingError, match=f"{kind} is not served"):
        await install(Server(kinds=KINDS - {plural})).kinds()


async def test_guards_that_stand_are_counted_and_guards_that_are_off_are_not_claimed() -> None:
    assert await install(Server(), *GUARDS).guards() == "2 bindings of the chart's guards stand and deny"
    assert "none are installed (policies.enabled)" in await install(Server()).guards()


async def test_a_guard_that_is_missing_is_named() -> None:
    with pytest.raises(MissingError, match=r"gpupool-use \(its binding is missing\)"):
        await install(Server(bindings=GUARDS[:1]), *GUARDS).guards()
    with pytest.raises(MissingError, match=r"gpupool-quota-guard \(its policy is missing\)"):
        await install(Server(policies=GUARDS[1:]), *GUARDS).guards()
