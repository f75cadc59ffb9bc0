"""Economics of an endpoint travel into its status and back; prices out of a pool's spec."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gpupool.api import convert, economics
from gpupool.api.v1alpha1.inferenceslo_economics import MAX_COUNTED, EconomicsStatus
from gpupool.model.economics import Economics, Ledger, Stretch
from gpupool.policy.slo.economics import PARTS
from support.builders import GPU
from support.manifests import example

LEDGER = Ledger(
    (Stretch(1_900_000_000.0, 7200.0, 3600.0, 4e6, 2e6, 1234.5, 3e6), Stretch(1_900_000_060.0)), GPU
)
FOUND = Economics(1_900_000_000.0, GPU, 2.0, 4e6, 2e6, 5.0, 1.25, "USD", 0.4)


def test_what_is_counted_survives_a_restart() -> None:
    body = economics.written(FOUND, LEDGER)
    assert body is not None
    EconomicsStatus.model_validate(body)
    assert economics.ledger({"economics": body}) == LEDGER
    assert body["tokensPerGpuHourAtSlo"] == 2_000_000
    assert (body["cost"], body["costPerMillionTokens"], body["currency"]) == (5, 1.25, "USD")
    assert body["joulesPerToken"] == 0.4


def test_what_is_not_known_is_absent() -> None:
    body = economics.written(Economics(1_900_000_000.0, GPU, 2.0), LEDGER)
    assert body is not None
    assert body.keys() == {"since", "resource", "gpuHours", "counted"}
    assert economics.written(None, LEDGER) is None
    many = Ledger(tuple(Stretch(1_900_000_000.0 + n) for n in range(MAX_COUNTED + 4)), GPU)
    body = economics.written(FOUND, many)
    assert body is not None
    assert len(body["counted"]) == MAX_COUNTED >= PARTS + 2


@pytest.mark.parametrize(
    "raw", [{}, {"economics": {}}, {"economics": "rich"}, {"economics": {"gpuHours": -1}}]
)
def test_what_cannot_be_read_begins_anew(raw: dict[str, Any]) -> None:
    assert economics.ledger(raw) == Ledger()


def test_prices_are_read_from_the_pool() -> None:
    manifest = example("lab-pool")
    cost = {"perGpuHour": {GPU: "2.50"}, "currency": "USD"}
    found = convert.pool(manifest | {"spec": manifest["spec"] | {"cost": cost}})
    assert (found.prices, found.currency) == ({GPU: 2.5}, "USD")
    plain = convert.pool(manifest)
    assert (plain.prices, plain.currency) == ({}, "")
    with pytest.raises(ValidationError, match="a price of 0 says nothing"):
        convert.pool(manifest | {"spec": manifest["spec"] | {"cost": {**cost, "perGpuHour": {GPU: "0.00"}}}})
