"""A snapshot as JSON and back, without loss: what a decision was made of can be kept and decided again.

The text follows from the value alone (keys sorted, no spaces), so that equal snapshots are equal texts. A
field added later reads as its default from an older recording; a field taken away raises the version.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from gpupool.model.snapshot import Snapshot

VERSION = 1

Read = Callable[[Any], Any]


def write(snapshot: Snapshot) -> str:
    """The recording of a snapshot."""
    return dump({"version": VERSION, "snapshot": snapshot})


def read(text: str) -> Snapshot:
    """The snapshot of a recording.

    Raises:
        ValueError: it is no recording, or of a version that this program does not know.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise ValueError(f"not a recording of version {VERSION}")
    snapshot: Snapshot = decode(Snapshot, found["snapshot"])
    return snapshot


def dump(value: Any) -> str:
    """Any value of the domain as text, byte for byte the same for equal values."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value of the domain in JSON's words."""
    match value:
        case Enum():
            found: Any = value.value
        case datetime():
            found = value.isoformat()
        case timedelta():
            found = [value.days, value.seconds, value.microseconds]
        case Mapping():
            found = _pairs(value)
        case frozenset():
            found = sorted(_plain(v) for v in value)
        case tuple():
            found = [_plain(v) for v in value]
        case _ if dataclasses.is_dataclass(value):
            found = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            found = value
    return found


def _pairs(value: Mapping[Any, Any]) -> Any:
    """Mappings with other keys than text become lists of pairs."""
    if all(isinstance(k, str) for k in value):
        return {str(k): _plain(v) for k, v in value.items()}
    return [[_plain(k), _plain(v)] for k, v in sorted(value.items())]


def decode(kind: Any, raw: Any) -> Any:
    """A value of a type from JSON's words."""
    return _reader(kind)(raw)


@cache
def _reader(kind: Any) -> Read:
    """How values of a type are read; built once per type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        inner = _reader(next(a for a in args if a is not type(None)))
        return lambda raw: None if raw is None else inner(raw)
    if origin is tuple:
        return _tuple_reader(args)
    if origin is frozenset:
        item = _reader(args[0])
        return lambda raw: frozenset(item(v) for v in raw)
    if origin is not None:
        return _mapping_reader(*args)
    return _plain_reader(kind)


def _tuple_reader(args: tuple[Any, ...]) -> Read:
    """Tuples of one type and any length, or of two words."""
    if args[-1] is Ellipsis:
        item = _reader(args[0])
        return lambda raw: tuple(item(v) for v in raw)
    items = [_reader(a) for a in args]
    return lambda raw: tuple(read_item(v) for read_item, v in zip(items, raw, strict=True))


def _mapping_reader(key: Any, value: Any) -> Read:
    of_key, of_value = _reader(key), _reader(value)

    def read_mapping(raw: Any) -> dict[Any, Any]:
        pairs = raw.items() if isinstance(raw, dict) else raw
        return {of_key(k): of_value(v) for k, v in pairs}

    return read_mapping


def _plain_reader(kind: Any) -> Read:
    if dataclasses.is_dataclass(kind):
        return _record_reader(kind)
    if issubclass(kind, Enum):
        enum: Read = kind
        return enum
    if issubclass(kind, datetime):
        return datetime.fromisoformat
    if issubclass(kind, timedelta):
        return lambda raw: timedelta(*raw)
    return lambda raw: kind(raw) if kind is float else raw


def _record_reader(kind: Any) -> Read:
    hints = get_type_hints(kind)
    readers = {f.name: _reader(hints[f.name]) for f in dataclasses.fields(kind)}

    def read_record(raw: Any) -> Any:
        return kind(**{name: readers[name](value) for name, value in raw.items()})

    return read_record
