"""What the operator's account asked, from the API server's own audit log, and what it may ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from localplane.runner.settings import NAMESPACE
from localplane.state import Options
from support.plane import eventually

if TYPE_CHECKING:
    from localplane.kube import Kube

Json = dict[str, Any]
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:gpupool"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CREATED = 201


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One verb on one resource (`pods`, `pods/eviction`), cluster-wide or in one namespace."""

    namespace: str
    group: str
    resource: str
    verb: str

    def covers(self, asked: Access) -> bool:
        """Whether a rule of this access would let a request through."""
        return self.namespace in {"", asked.namespace} and _key(self) == _key(asked)

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {'.'.join(filter(None, (self.resource, self.group)))}{place}"


def options(folder: Path) -> Options:
    """A cluster whose API server writes down every request of the operator's account into `folder`."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}],
    }
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(policy))
    return Options(apiserver_args=(f"--audit-policy-file={file}", f"--audit-log-path={folder / 'audit.log'}"))


@dataclass
class Audit:
    """The log, read on from where it was read last."""

    file: Path
    offset: int = 0

    def news(self) -> list[Json]:
        """Whole lines since the last look."""
        if not self.file.exists():
            return []
        with self.file.open("rb") as log:
            log.seek(self.offset)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def allowed(events: Iterable[Json]) -> set[Access]:
    """What was asked and let through by a rule of ours.

    An apply of an object that is not there needs `create` beside `patch`, for which no line is written: the
    answer 201 tells it.
    """
    found = set()
    for event in events:
        why = event["annotations"].get("authorization.k8s.io/reason", "")
        if "objectRef" in event and ('Role "gpupool' in why):
            namespace = event["objectRef"].get("namespace", "") if ' of Role "' in why else ""
            found.add(_access(event, namespace))
            if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == CREATED:
                found.add(_access(event, namespace, "create"))
    return found


def refused(events: Iterable[Json]) -> set[Access]:
    """What was asked and no rule allows.

    That an apply of an object that is not there may not create it is told by its answer alone.
    """
    found = set()
    for event in events:
        if "objectRef" not in event:
            continue
        namespace, answer = event["objectRef"].get("namespace", ""), event.get("responseStatus", {})
        if event["annotations"].get("authorization.k8s.io/decision") == "forbid":
            found.add(_access(event, namespace))
        elif event["verb"] == "patch" and "cannot create resource" in answer.get("message", ""):
            found.add(_access(event, namespace, "create"))
    return found


def _access(event: Json, namespace: str, verb: str = "") -> Access:
    at = event["objectRef"]
    resource = "/".join(filter(None, (at["resource"], at.get("subresource"))))
    return Access(namespace, at.get("apiGroup", ""), resource, verb or event["verb"])


def granted(kube: Kube) -> set[Access]:
    """Everything that the chart's rules allow the operator's account."""
    return {access for role in roles(kube) for access in _of_role(role)}


def roles(kube: Kube) -> Iterator[Json]:
    """The ClusterRoles and Roles that are bound to the operator's account."""
    for kind in ("clusterrole", "role"):
        for binding in kube.list(f"{RBAC}/{kind}bindings"):
            if any(s.get("name") == "gpupool" and s["kind"] == "ServiceAccount" for s in _subjects(binding)):
                namespace = binding["metadata"].get("namespace", "")
                place = f"namespaces/{namespace}/" if namespace else ""
                yield kube.get(f"{RBAC}/{place}{kind}s/{binding['roleRef']['name']}")


def _subjects(binding: Json) -> list[Json]:
    return list(binding.get("subjects") or [])


def _of_rule(role: Json, rule: Json) -> Iterator[Access]:
    namespace = role["metadata"].get("namespace", "")
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield Access(namespace, group, resource, verb)


def without(role: Json, access: Access) -> Json:
    """The rules of a role less one access."""
    rules: list[Json] = []
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                verbs = [v for v in rule["verbs"] if (group, resource, v) != _key(access)]
                names = {"resourceNames": rule["resourceNames"]} if "resourceNames" in rule else {}
                rules += (
                    [{"apiGroups": [group], "resources": [resource], "verbs": verbs, **names}]
                    if verbs
                    else []
                )
    return {"rules": rules}


def permits(kube: Kube, access: Access) -> bool:
    """Whether the API server's authorizer lets the operator's account do it now."""
    resource, _, subresource = access.resource.partition("/")
    asked = {"group": access.group, "resource": resource, "subresource": subresource, "verb": access.verb}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {"user": ACCOUNT, "resourceAttributes": {**asked, "namespace": access.namespace}},
    }
    answer = kube.create(body, path="/apis/authorization.k8s.io/v1/subjectaccessreviews")
    return bool(answer["status"]["allowed"])


@contextmanager
def withheld(kube: Kube, access: Access) -> Iterator[None]:
    """Take one access from every role of the operator's account, and give it back."""
    changed = [role for role in roles(kube) if access in set(_of_role(role))]
    try:
        for role in changed:
            kube.patch(_path(role), without(role, access))
        eventually(lambda: not permits(kube, access), f"{access} is withheld")
        yield
    finally:
        for role in changed:
            if kube.exists(_path(role)):
                kube.patch(_path(role), {"rules": role["rules"]})


def _path(role: Json) -> str:
    namespace = role["metadata"].get("namespace", "")
    kind = f"namespaces/{namespace}/roles" if namespace else "clusterroles"
    return f"{RBAC}/{kind}/{role['metadata']['name']}"


def _of_role(role: Json) -> Iterator[Access]:
    for rule in role["rules"]:
        yield from _of_rule(role, rule)


def _key(access: Access) -> tuple[str, str, str]:
    return (access.group, access.resource, access.verb)
