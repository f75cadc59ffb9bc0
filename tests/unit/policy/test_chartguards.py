"""Guards of the chart are open when anything of them is not as it was installed."""

from dataclasses import replace

import pytest

from gpupool.model.chartguards import ChartGuards, GuardBinding
from gpupool.policy.chartguards import opened

NAMES = ("gpupool-use", "gpupool-binding-guard", "gpupool-binding-guard-probe")
POLICIES = frozenset(NAMES[:2])
BINDINGS = {name: GuardBinding(name.removesuffix("-probe"), denies=True) for name in NAMES}
STAND = ChartGuards(NAMES, POLICIES, BINDINGS)


def test_what_stands_as_installed_is_closed_and_so_is_what_was_never_installed() -> None:
    assert opened(STAND) == ()
    assert opened(ChartGuards()) == ()


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (replace(STAND, bindings={n: BINDINGS[n] for n in NAMES[1:]}), "its binding is missing"),
        (
            replace(STAND, bindings=BINDINGS | {"gpupool-use": GuardBinding("gpupool-use", denies=False)}),
            "its binding does not deny",
        ),
        (
            replace(STAND, bindings=BINDINGS | {"gpupool-use": GuardBinding("gpupool", denies=True)}),
            "its binding names policy gpupool",
        ),
        (replace(STAND, policies=POLICIES - {"gpupool-use"}), "its policy is missing"),
    ],
)
def test_what_is_open_is_named_with_what_is_wrong(changed: ChartGuards, wrong: str) -> None:
    assert opened(changed) == (f"gpupool-use ({wrong})",)


def test_a_policy_that_is_gone_opens_all_its_bindings() -> None:
    assert [text.split(" ")[0] for text in opened(replace(STAND, policies=frozenset({"gpupool-use"})))] == [
        "gpupool-binding-guard",
        "gpupool-binding-guard-probe",
    ]
