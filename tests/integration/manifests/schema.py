"""Valid specs drawn from the CRDs' own schemas, so that a new field is generated the day it comes."""

from functools import cache
from random import Random
from typing import Any, Final

import yaml

from support.manifests import CRDS

Json = dict[str, Any]
PLURALS: Final = {
    "GpuPool": "gpupools",
    "CapacityRequest": "capacityrequests",
    "InferenceSLO": "inferenceslos",
}
OFTEN: Final = 0.35
"""Chance of an optional field."""
MOST_ITEMS: Final = 3
RESOURCES: Final = ("nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "amd.com/gpu", "example.com/gpu")
DURATIONS: Final = ("5s", "10s", "1m", "5m", "15m", "1h", "1h30m", "6h", "1d", "2d", "1w", "30d")
THRESHOLDS: Final = ("1ms", "250ms", "500ms", "2s", "1m30s", "1h")
PERCENTS: Final = (1, 50, 95, 99, 99.9, 99.999)
METRICS: Final = ("vllm:num_requests_running", "queue_depth", "_x", "tgi:batch_size", "a:b:c")
SERIES: Final = ("queue_depth", 'gate_waiting{model="chat",job=~"a|b"}', "up{}")
WORDS: Final = ("a", "b1", "team-a", "vision", "nlp", "gpu-1", "x-y-z", "0", "job", "v1")
TEXTS: Final = ("people@example.com", "#gpu-help", "שלום", "👩‍🚀 crew", "Zoë", "a: b # c", "line\nline", "  ")
EXCLUSIVE: Final = (
    {"selector", "names"},
    {"ref", "selector"},
    {"namespaces", "namespaceSelector"},
    {"engine", "metrics"},
)
"""Fields of which a rule allows no two."""
TIMED: Final = frozenset({"ttft", "itl", "tpot", "e2e", "queue"})
"""Objectives that have a threshold."""


@cache
def spec_schema(kind: str) -> Json:
    """The schema of a kind's spec."""
    file = CRDS / f"gpupool.dev_{PLURALS[kind]}.yaml"
    crd = yaml.safe_load(file.read_text(encoding="utf-8"))
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def draw(schema: Json, rng: Random, path: tuple[str, ...] = ()) -> Any:
    """A value that keeps the schema, and most of the time its rules."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema["type"]:
        case "integer" | "number":
            return _number(schema, rng)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return _items(schema, rng, path)
        case "object":
            return _object(schema, rng, path)
        case _:
            return _text(schema, rng, path)


def _number(schema: Json, rng: Random) -> float:
    if schema["type"] == "number":
        return rng.choice(PERCENTS)
    low, high = schema.get("minimum", 0), schema.get("maximum", 100)
    return int(rng.choice((low, high, rng.randint(low, min(high, low + 16)), rng.randint(low, high))))


def _items(schema: Json, rng: Random, path: tuple[str, ...]) -> list[Any]:
    low = schema.get("minItems", 0)
    wanted = rng.randint(low, max(low, MOST_ITEMS))
    found: list[Any] = []
    for _ in range(wanted):
        item = draw(schema["items"], rng, path)
        mark = _mark(schema, item)
        if mark not in (_mark(schema, known) for known in found):
            found.append(item)
    return found


def _mark(schema: Json, item: Any) -> Any:
    """What must differ between the items of a list."""
    if isinstance(item, dict) and "sli" in item:
        return item["sli"], item.get("threshold")
    keys = schema.get("x-kubernetes-list-map-keys")
    return [item[key] for key in keys] if keys else item


def _object(schema: Json, rng: Random, path: tuple[str, ...]) -> Json:
    fields: Json = schema.get("properties", {})
    if not fields:
        return _mapping(schema, rng, path)
    required = set(schema.get("required", ()))
    chosen = {name for name in fields if name in required or rng.random() < OFTEN}
    for group in EXCLUSIVE:
        if group <= fields.keys():
            chosen = (chosen - group) | {rng.choice(sorted(group))}
    if {"matchLabels", "matchExpressions"} <= fields.keys():
        chosen |= {rng.choice(("matchLabels", "matchExpressions"))}
    return _agreeing({name: draw(fields[name], rng, (*path, name)) for name in sorted(chosen)}, rng)


def _mapping(schema: Json, rng: Random, path: tuple[str, ...]) -> Json:
    keys = RESOURCES if path[-1] in {"declared", "perResource"} else WORDS
    count = rng.randint(max(1, schema.get("minProperties", 0)), 2)
    values = schema["additionalProperties"]
    return {key: draw(values, rng, (*path, key)) for key in rng.sample(keys, count)}


def _text(schema: Json, rng: Random, path: tuple[str, ...]) -> str:
    if schema.get("format") == "duration":
        return rng.choice(THRESHOLDS if path[-1] == "threshold" else DURATIONS)
    if "metrics" in path or path[-1] == "series":
        return rng.choice(SERIES if path[-1] == "series" else METRICS)
    if "resource" in path[-1]:
        return rng.choice(RESOURCES)
    if path[-1] in {"contact", "justification", "jobs"}:
        return rng.choice(TEXTS)[: schema.get("maxLength", 64)]
    given = {"apiVersion": ("v1", "apps/v1", "batch/v1"), "kind": ("Job", "Deployment", "Pod")}
    return rng.choice(given.get(path[-1], WORDS))


def _agreeing(value: Json, rng: Random) -> Json:
    """Most of the time, what rules across fields ask; the rest is what they are for."""
    if rng.random() < 0.1:
        return value
    for low, high in (
        ("guaranteed", "limit"),
        ("minGpus", "gpus"),
        ("notice", "within"),
        ("window", "lookback"),
        ("minReplicas", "maxReplicas"),
    ):
        if low in value and high in value:
            value[low], value[high] = sorted((value[low], value[high]), key=_size)
    if "sli" in value:
        _promising(value, rng)
    if value.get("minReplicas") == 0 and "wakeUp" not in value:
        value["wakeUp"] = {"series": rng.choice(SERIES)}
    if "operator" in value and "key" in value:
        needs = value["operator"] in {"In", "NotIn"}
        value["values"] = [rng.choice(WORDS)] if needs else []
    return value


def _promising(objective: Json, rng: Random) -> None:
    """Give an objective what its indicator is measured by, and nothing else."""
    for field in ("threshold", "tokensPerSecond"):
        objective.pop(field, None)
    if objective["sli"] in TIMED:
        objective["threshold"] = rng.choice(THRESHOLDS)
    elif objective["sli"] == "throughput":
        objective["tokensPerSecond"] = rng.randint(1, 5_000)


def _size(value: Any) -> int:
    return DURATIONS.index(value) if isinstance(value, str) else int(value)
