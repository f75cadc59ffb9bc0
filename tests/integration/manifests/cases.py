"""Manifests without end: the same seed and number give the same bytes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import yaml

from integration.manifests import mutations, schema
from integration.manifests.values import LITERALS, unfolded

Json = dict[str, Any]
JSON: Final = "application/json"
YAML: Final = "application/yaml"
KINDS: Final = ("GpuPool", "CapacityRequest", "InferenceSLO")
FLAVOURS: Final = ("valid", "near", "hostile", "written")
WEIGHTS: Final = (3, 5, 1, 1)
ENFORCED: Final = 0.2
"""Part of the drawn pools that may keep the mode Enforce: each of them costs a set of policies."""
MARK: Final = "__a_value_written_by_hand__"


@dataclass(frozen=True, slots=True)
class Places:
    """Where manifests may land.

    Attributes:
        namespaces: where requests and promises are sent, and what shares may list.
        labels: node labels that exist.
    """

    namespaces: Sequence[str]
    labels: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Case:
    """One manifest as it is sent.

    Attributes:
        number: with the seed it makes the same case again.
        kind: one of KINDS.
        flavour: one of FLAVOURS.
        namespace: where it is sent; empty for pools.
        content: the body.
        media: its type.
    """

    number: int
    kind: str
    flavour: str
    namespace: str
    content: bytes
    media: str

    @property
    def collection(self) -> str:
        """Path it is posted to."""
        scope = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"/apis/gpupool.dev/v1alpha1{scope}/{schema.PLURALS[self.kind]}"

    def __str__(self) -> str:
        return f"{self.flavour} {self.kind} {self.number}: {self.content[:600]!r}"


def cases(seed: int, count: int, where: Places) -> Iterator[Case]:
    """So many cases."""
    for number in range(count):
        yield case(seed, number, where)


def case(seed: int, number: int, where: Places) -> Case:
    """One case."""
    rng = Random(f"{seed}/{number}")  # noqa: S311 - it must give the same again
    kind = rng.choice(KINDS)
    flavour = rng.choices(FLAVOURS, WEIGHTS)[0]
    body = manifest(kind, f"m-{seed}-{number}", rng, where)
    namespace = body["metadata"].get("namespace", "")
    if flavour == "near":
        for _ in range(rng.choice((1, 1, 2))):
            rng.choice(mutations.NEAR)(rng, body)
    elif flavour == "hostile":
        rng.choice(mutations.HOSTILE)(rng, body)
    content, media = _written(body, rng) if flavour == "written" else _plain(body, rng)
    return Case(number, kind, flavour, namespace, content, media)


def manifest(kind: str, name: str, rng: Random, where: Places) -> Json:
    """A manifest that is meant to be valid, within the stage it is played on."""
    spec = schema.draw(schema.spec_schema(kind), rng)
    metadata = {"name": name}
    if kind == "GpuPool":
        _on_stage(spec, rng, where)
    else:
        metadata["namespace"] = rng.choice(where.namespaces)
        spec.pop("pool", None)
    return {"apiVersion": "gpupool.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _on_stage(spec: Json, rng: Random, where: Places) -> None:
    """Let a pool speak of nodes, namespaces and resources that can be there, and seldom enforce."""
    if rng.random() > ENFORCED:
        spec["mode"] = rng.choice(("Observe", "Recommend"))
    if "selector" in spec["nodes"] and rng.random() < 0.7:
        key, value = rng.choice(where.labels)
        spec["nodes"] = {"selector": {"matchLabels": {key: value}}}
    free = list(where.namespaces)
    rng.shuffle(free)
    for share in spec.get("shares", ()):
        share.pop("perResource", None)
        if "namespaces" in share:
            share["namespaces"] = [free.pop() if free else f"nobody-{rng.randint(0, 10**9)}"]
    if "capacity" in spec["nodes"] and rng.random() < 0.8:
        spec["nodes"]["capacity"]["declared"] = {spec.get("resources", ["nvidia.com/gpu"])[0]: 8}


def _plain(body: Json, rng: Random) -> tuple[bytes, str]:
    """As a program writes it."""
    text = json.dumps(body, ensure_ascii=rng.random() < 0.5)
    return unfolded(text).encode("utf-8", "surrogatepass"), JSON


def _written(body: Json, rng: Random) -> tuple[bytes, str]:
    """As people write it: spelt numbers, duplicate keys, anchors, tabs, several documents, half a file."""
    holder, key = rng.choice(list(mutations.places(body["spec"])))
    way = rng.randrange(8)
    if way < 3:
        holder[key] = MARK
        text = json.dumps(body) if way == 2 else yaml.safe_dump(body, allow_unicode=True)
        spelt = rng.choice(LITERALS)
        return text.replace(f'"{MARK}"', spelt).replace(MARK, spelt).encode(), JSON if way == 2 else YAML
    text = yaml.safe_dump(body, allow_unicode=True, default_flow_style=rng.random() < 0.3)
    return _odd(text, body, way, rng), YAML


def _odd(text: str, body: Json, way: int, rng: Random) -> bytes:
    match way:
        case 3:  # a key that stands twice
            first = json.dumps(body["spec"])
            return f'{json.dumps(body)[:-1]}, "spec": {first}}}'.encode()
        case 4:  # anchors that multiply
            bombs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
            return f"a0: &a0 [x]\n{bombs}\n{text}".encode()
        case 5:  # an anchor that is honest
            return text.replace("spec:", "spec: &it", 1).encode()
        case 6:  # cut off
            return text.encode()[: rng.randrange(len(text))]
        case _:  # bytes that are no text, tabs, several documents
            return rng.choice((b"\xff\xfe", b"\t", b"---\n---\n", b"\x00")) + text.encode()
