"""Tables of wrong manifests, and the CRDs on a real API server."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from localplane.kube import Kube, KubeError
from localplane.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
BAD = ROOT / "tests" / "integration" / "bad_manifests"
EXAMPLES = ROOT / "deploy" / "examples"
CRDS = ROOT / "crds"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong manifest: what it is called, the manifest, what the refusal must say."""

    name: str
    manifest: Json
    says: tuple[str, ...]
    twin: bool


def good(kind: str) -> Json:
    """Return the good manifest that the mistakes of a kind start from."""
    manifest: Json = _table(kind)["good"]
    return manifest


def mistakes(kind: str) -> Iterator[Mistake]:
    """Yield every row of a kind's table as the manifest it describes."""
    table = _table(kind)
    for row in table["rows"]:
        manifest = copy.deepcopy(table["good"])
        for path in row.get("drop", ()):
            holder, last = _reach(manifest, path)
            del holder[last]
        for path, value in row.get("set", {}).items():
            holder, last = _reach(manifest, path)
            holder[last] = value
        says = tuple(str(text) for text in row["says"])
        yield Mistake(f"{kind}: {row['name']}", manifest, says, twin=row.get("twin", True))


def example(name: str) -> Json:
    """Return one manifest of `deploy/examples`."""
    manifest: Json = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    return manifest


def collection(manifest: Json) -> str:
    """Return the path of a manifest's collection on the API server."""
    base = "/apis/gpupool.dev/v1alpha1"
    namespace = manifest["metadata"].get("namespace")
    plural = f"{manifest['kind'].lower()}s"
    return f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}"


def create(kube: Kube, manifest: Json, *, dry_run: bool = False) -> Json:
    """Create an object the way `kubectl apply` does: unknown fields are refused."""
    dry = "All" if dry_run else None
    created: Json = kube.request(
        "POST", collection(manifest), body=manifest, fieldValidation="Strict", dryRun=dry
    )
    return created


def install_crds(kube: Kube) -> None:
    """Apply the CRDs of `crds/` and wait until they are served.

    Raises:
        AssertionError: The API server did not establish them within 15 seconds.
    """
    for file in sorted(CRDS.glob("*.yaml")):
        crd = yaml.safe_load(file.read_text(encoding="utf-8"))
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"
        kube.apply(crd, path=path, field_manager="test-crds")
        assert wait_until(partial(_established, kube, path), 15), f"{file.name} is not established"
    for plural in ("gpupools", "capacityrequests", "inferenceslos"):
        assert wait_until(partial(_served, kube, plural), 15), f"{plural} are not served"


def _served(kube: Kube, plural: str) -> bool:
    """Return whether the kind answers: for a moment after its CRD it says 404, then 429."""
    try:
        return kube.exists(f"/apis/gpupool.dev/v1alpha1/{plural}")
    except KubeError as error:
        if error.status == httpx.codes.TOO_MANY_REQUESTS:
            return False
        raise


def _established(kube: Kube, path: str) -> bool:
    conditions = kube.get(path).get("status", {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


def _table(kind: str) -> Json:
    table: Json = yaml.safe_load((BAD / f"{kind}.yaml").read_text(encoding="utf-8"))
    return table


def _reach(manifest: Json, path: str) -> tuple[Any, Any]:
    """Return the holder of a dotted path's last step, and that step; makes objects on the way.

    The path ends where a key of `manifest` has dots of its own: such keys are set whole, one level up.
    """
    holder: Any = manifest
    *steps, last = path.split(".")
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    return holder, int(last) if isinstance(holder, list) else last
