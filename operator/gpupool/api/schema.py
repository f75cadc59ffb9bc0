"""Models to structural schemas of apiextensions/v1: no references, no unions, a fixed order of keys."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_ORDER = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
# Said by pydantic, unknown to a structural schema. The keys of a map are judged by a rule on the map.
_DROPPED = frozenset({"title", "const", "propertyNames", "$defs"})


def structural(model: type[BaseModel]) -> Schema:
    """Return the schema of a model as the API server wants it.

    Raises:
        ValueError: The model uses something a structural schema cannot say, such as a union of two types.
    """
    whole = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(whole, whole.get("$defs", {}))


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    flat = _flatten(node, definitions)
    result: Schema = {}
    for key, value in flat.items():
        if key in _DROPPED:
            continue
        if key not in _ORDER:
            raise ValueError(f"a structural schema has no {key!r}: {flat}")
        result[key] = _convert_value(key, value, definitions)
    return {key: result[key] for key in _ORDER if key in result}


def _convert_value(key: str, value: Any, definitions: Mapping[str, Any]) -> Any:
    if key == "properties":
        return {name: _convert(child, definitions) for name, child in value.items()}
    if key in {"items", "additionalProperties"}:
        return _convert(value, definitions)
    if key == "description":
        return " ".join(value.split())
    return value


def _flatten(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Put in place what a node refers to; what stands beside the reference wins (a field's own words)."""
    own = {key: value for key, value in node.items() if key not in {"$ref", "anyOf"}}
    if own.get("default", ...) is None:
        del own["default"]
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return {**_flatten(definitions[name], definitions), **own}
    if "anyOf" in node:
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        if len(options) != 1:
            raise ValueError(f"a structural schema has no unions: {node}")
        return {**_flatten(options[0], definitions), **own}
    return own
