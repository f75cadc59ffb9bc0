"""The environment of a container: values, references to fields, secrets and config maps, and $(NAME)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from localplane.errors import PlaneError
from localplane.ports import own_address
from localplane.runner.podspec import ContainerSpec, Json, PodSpec

LOOPBACK: Final = "127.0.0.1"
_REFERENCE: Final = re.compile(r"\$(\$)?\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(PlaneError):
    """A container names something that does not exist; the pod waits for it, as on a real node."""


Lookup = Callable[[str, str], Mapping[str, str]]
"""Data of a ConfigMap or Secret of the pod's namespace: (kind, name) to decoded values."""


def container_environment(pod: PodSpec, container: ContainerSpec, lookup: Lookup) -> dict[str, str]:
    """The variables of one container, in its order, each seeing those before it.

    Raises:
        ConfigError: A required reference leads nowhere.
    """
    values: dict[str, str] = {}
    for item in container.env:
        if "value" in item or "valueFrom" not in item:
            values[item["name"]] = expand(item.get("value", ""), values)
        elif (found := _resolve(pod, item["valueFrom"], lookup)) is not None:
            values[item["name"]] = found
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value as Kubernetes does: unknown names stay, $$(NAME) escapes."""

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return f"$({match[2]})"
        return values.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


def expand_all(argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """`expand` for a command line."""
    return [expand(item, values) for item in argv]


def field_value(pod: PodSpec, path: str) -> str:
    """The value of a downward API field.

    Raises:
        ConfigError: This runner does not know the field.
    """
    metadata, spec = pod.manifest["metadata"], pod.manifest["spec"]
    if keyed := _KEYED.fullmatch(path):
        return str(metadata.get(keyed[1], {}).get(keyed[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": pod.service_account,
        "status.podIP": own_address(),
        "status.hostIP": LOOPBACK,
    }
    if path not in known:
        raise ConfigError(f"field {path!r} is not offered by the local runner")
    return str(known[path])


def _resolve(pod: PodSpec, source: Json, lookup: Lookup) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if key in source:
            return _key_of(source[key], kind, lookup)
    raise ConfigError(f"environment source {sorted(source)} is not offered by the local runner")


def _key_of(reference: Json, kind: str, lookup: Lookup) -> str | None:
    try:
        return lookup(kind, reference["name"])[reference["key"]]
    except (ConfigError, KeyError):
        if reference.get("optional"):
            return None
        raise ConfigError(f"{kind} {reference['name']} has no key {reference['key']}") from None
