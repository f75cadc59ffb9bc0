"""Ways to spoil a manifest: one or two places for the nearly valid, size and depth for the hostile."""

import copy
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from integration.manifests.values import NUMBERS, TEXTS, any_value, deep, nothing_much

Json = dict[str, Any]
Place = tuple[Any, Any]
"""A dict or list, and the key or index in it."""
Mutation = Callable[[Random, Json], None]
BIG: Final = 1_000_000
LONG: Final = 2_000
DEPTHS: Final = (50, 500, 5_000, 11_000)
KEPT: Final = {"apiVersion", "kind"}
"""Without these nobody knows whose rules to ask; they are spoiled now and then all the same."""


def places(value: Any) -> Iterator[Place]:
    """Every place in a JSON value, from the outside in."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def _place(rng: Random, body: Json) -> Place:
    found = [p for p in places(body) if p[1] not in KEPT or rng.random() < 0.1]
    return rng.choice(found)


def wrong_type(rng: Random, body: Json) -> None:
    """Something else where something stands."""
    holder, key = _place(rng, body)
    holder[key] = any_value(rng)


def wrong_text(rng: Random, body: Json) -> None:
    """A text that breaks programs, where a text stands if there is one."""
    texts = [p for p in places(body) if isinstance(p[0][p[1]], str) and p[1] not in KEPT]
    holder, key = rng.choice(texts)
    holder[key] = rng.choice(TEXTS)


def wrong_number(rng: Random, body: Json) -> None:
    """A number at an edge, where a number stands if there is one."""
    found = [p for p in places(body) if type(p[0][p[1]]) in {int, float}]
    holder, key = rng.choice(found) if found else _place(rng, body)
    holder[key] = rng.choice(NUMBERS)


def dropped(rng: Random, body: Json) -> None:
    """A field that is not there."""
    holder, key = _place(rng, body)
    del holder[key]


def nothing(rng: Random, body: Json) -> None:
    """A null, an empty list, an empty map."""
    holder, key = _place(rng, body)
    holder[key] = nothing_much(rng)


def unknown(rng: Random, body: Json) -> None:
    """A field that nobody knows."""
    holders = [body, *(p[0][p[1]] for p in places(body) if isinstance(p[0][p[1]], dict))]
    rng.choice(holders)[rng.choice(("gpu", "GPUs", "Spec", "x-y", "", "é", "spec.gpus", "$ref"))] = any_value(
        rng
    )


def twice(rng: Random, body: Json) -> None:
    """An item that stands twice in its list."""
    found = [p[0] for p in places(body) if isinstance(p[0], list)]
    if found:
        chosen = rng.choice(found)
        chosen.append(copy.deepcopy(chosen[0]))
    else:
        unknown(rng, body)


def moved(rng: Random, body: Json) -> None:
    """A part of the manifest in the place of another."""
    whole = copy.deepcopy(body)
    source, name = rng.choice(list(places(whole)))
    holder, key = _place(rng, body)
    holder[key] = source[name]


def all_null(rng: Random, body: Json) -> None:
    """Null everywhere, but for who it is."""
    del rng
    body["spec"] = dict.fromkeys(body["spec"])


def long_list(rng: Random, body: Json) -> None:
    """A list of thousands."""
    found = [p[0][p[1]] for p in places(body) if isinstance(p[0][p[1]], list) and p[0][p[1]]]
    chosen = rng.choice(found) if found else body["spec"].setdefault("resources", ["nvidia.com/gpu"])
    first = chosen[0]
    chosen += [f"{first}-{n}" if isinstance(first, str) else copy.deepcopy(first) for n in range(LONG)]


def long_text(rng: Random, body: Json) -> None:
    """A text of a megabyte."""
    texts = [p for p in places(body) if isinstance(p[0][p[1]], str) and p[1] not in KEPT]
    holder, key = rng.choice(texts)
    holder[key] = rng.choice(("a", "é", "👩", "\\", '"')) * rng.choice((BIG // 100, BIG // 4))


def many_keys(rng: Random, body: Json) -> None:
    """A map of thousands."""
    where = rng.choice((body["metadata"].setdefault("labels", {}), body["spec"]))
    where.update({f"k{n}": "v" * rng.choice((1, 60)) for n in range(LONG)})


def too_deep(rng: Random, body: Json) -> None:
    """Nested beyond reason."""
    holder, key = _place(rng, body)
    holder[key] = deep(rng.choice(DEPTHS), lists=rng.random() < 0.5)


NEAR: Final[tuple[Mutation, ...]] = (
    wrong_type,
    wrong_text,
    wrong_text,
    wrong_number,
    wrong_number,
    dropped,
    nothing,
    unknown,
    twice,
    moved,
)
HOSTILE: Final[tuple[Mutation, ...]] = (all_null, long_list, long_text, many_keys, too_deep)
