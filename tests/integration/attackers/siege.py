"""Two enforced pools, four attackers, and no operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from integration.isolation.asking import create, pod, refusal, wait_for
from localplane.kube import Kube, KubeError
from support.marks import NODE_LABEL, TAINT_KEY
from support.neighbours import Neighbours, neighbours
from support.replicas import killed
from support.story import GOVERNED_SECONDS, OUTSIDERS

if TYPE_CHECKING:
    from localplane.cluster import Cluster
    from support.story import Story

Json = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
INSIDE = ("admin", "edit", "broad")
EVERYBODY = (*INSIDE, "outsider")

# What a deployment tool or a namespace vending machine is often given.
BROAD_RIGHTS: list[Json] = [
    {"apiGroups": ["*"], "resources": ["*/status", "*/finalize"], "verbs": ["get", "update", "patch"]},
    {"apiGroups": [""], "resources": ["namespaces", "nodes", "resourcequotas"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "pods/ephemeralcontainers"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods/binding", "bindings"], "verbs": ["create"]},
    {"apiGroups": ["apps", "batch"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["resource.k8s.io"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["gpupool.dev"], "resources": ["capacityrequests"], "verbs": ["*"]},
]


@dataclass(frozen=True)
class Siege:
    """The stage: `home` is the pool whose `team` has 4 of 8 GPUs, `outside` a namespace of no pool."""

    kube: Kube
    home: Story
    other: Story
    team: str
    outside: str
    clients: dict[str, Kube]

    def namespace(self, who: str) -> str:
        """Where an attacker works."""
        return self.outside if who == "outsider" else self.team

    def refused(self, who: str, manifest: Json, namespace: str = "") -> str:
        """What the API server says against an object, with 403."""
        attempt = partial(create, self.clients[who], namespace or self.namespace(who), manifest)
        error = refusal(attempt)
        assert error.status == 403, error
        return error.message

    def tolerates(self, pool: str = "", **more: str) -> Json:
        """A toleration of a pool's taint."""
        return {"key": TAINT_KEY, "operator": "Equal", "value": pool or self.home.name, **more}

    def drawn(self, kind: str = "required") -> Json:
        """Node affinity to the home pool's nodes."""
        expression = {"key": NODE_LABEL, "operator": "In", "values": [self.home.name]}
        term = {"matchExpressions": [expression]}
        if kind == "required":
            required = {"nodeSelectorTerms": [term]}
            return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        preferred = [{"weight": 1, "preference": term}]
        return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}

    def ways_in(self) -> list[tuple[Json, str]]:
        """Placements that reach for a pool's nodes, and what is said against each."""
        return [
            ({"nodeName": self.home.nodes[0]}, "spec.nodeName is"),
            ({"tolerations": [{"operator": "Exists"}]}, "without a key"),
            ({"tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]}, "without a key"),
            ({"tolerations": [{"key": TAINT_KEY, "operator": "Exists"}]}, f"has key {TAINT_KEY}"),
            ({"tolerations": [self.tolerates()]}, f"has key {TAINT_KEY}"),
            ({"tolerations": [self.tolerates(self.other.name)]}, f"has key {TAINT_KEY}"),
            ({"nodeSelector": {NODE_LABEL: self.home.name}}, "spec.nodeSelector has key"),
            ({"affinity": self.drawn()}, "spec.affinity.nodeAffinity names"),
            ({"affinity": self.drawn("preferred")}, "spec.affinity.nodeAffinity names"),
        ]


@contextmanager
def besieged(plane: Cluster) -> Iterator[Siege]:
    """Govern, recruit, kill the operator; afterwards start it again and clear the stage."""
    with plane.kube() as kube, ExitStack() as clients:
        stage, spaces = clients.enter_context(neighbours(kube, ("outside",)))
        team, outside = stage.team, spaces["outside"]
        clients.callback(_dismiss, kube)
        stage.home.until(partial(_refusing, stage, outside), "outsiders are refused", GOVERNED_SECONDS)
        found = _recruit(kube, team, outside)
        for client in found.values():
            clients.callback(client.close)
        with killed(plane):
            yield Siege(kube, stage.home, stage.other, team, outside, found)


def _dismiss(kube: Kube) -> None:
    """Take the cluster-wide rights back."""
    for each in kube.list(f"/apis/{RBAC}/v1/clusterrolebindings"):
        if each["metadata"]["name"].startswith("broad-of-"):
            kube.delete(f"/apis/{RBAC}/v1/clusterrolebindings/{each['metadata']['name']}")
    kube.delete(f"/apis/{RBAC}/v1/clusterroles/cluster-admin-of-much")


def _refusing(stage: Neighbours, outside: str) -> bool:
    """Outsiders are refused on behalf of both pools; a pool is enforced also while they are only warned."""
    kube, pools = stage.home.kube, (stage.home.name, stage.other.name)
    binding = kube.find(OUTSIDERS) or {"metadata": {}, "spec": {"validationActions": []}}
    owners = {o["name"] for o in binding["metadata"].get("ownerReferences", [])}
    kept = (f"/api/v1/namespaces/gpupool-probe/pods/kept-for-{pool}" for pool in pools)
    return (
        "Deny" in binding["spec"]["validationActions"]
        and owners >= set(pools)
        and all(map(kube.exists, kept))
        and not _may_create(kube, outside, pod("trial", 1))
    )


def _recruit(kube: Kube, team: str, outside: str) -> dict[str, Kube]:
    for who, namespace, role in (
        ("admin", team, "admin"),
        ("edit", team, "edit"),
        ("outsider", outside, "admin"),
    ):
        subject = {"kind": "User", "name": f"{who}-of-{namespace}", "apiGroup": RBAC}
        _bind(kube, f"{who}-of-{namespace}", role, subject, namespace)
    account = {"kind": "ServiceAccount", "name": "broad", "namespace": outside}
    _bind(kube, f"broad-of-{outside}", "cluster-admin-of-much", account)
    users = {
        "admin": f"admin-of-{team}",
        "edit": f"edit-of-{team}",
        "outsider": f"outsider-of-{outside}",
        "broad": f"system:serviceaccount:{outside}:broad",
    }
    clients = {who: kube.impersonating(user, _groups(user)) for who, user in users.items()}
    for who, client in clients.items():
        place = outside if who == "outsider" else team
        wait_for(partial(_may_create, client, place), f"the rights of {who}")
    return clients


def _groups(user: str) -> list[str]:
    return ["system:serviceaccounts"] if user.startswith("system:serviceaccount:") else []


def _bind(kube: Kube, name: str, role: str, subject: Json, namespace: str = "") -> None:
    meta: Json = {"name": name, **({"namespace": namespace} if namespace else {})}
    if not namespace:
        kube.apply(
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": role},
                "rules": BROAD_RIGHTS,
            }
        )
    kube.create(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        }
    )


def _may_create(client: Kube, namespace: str, manifest: Json | None = None) -> bool:
    try:
        create(client, namespace, manifest or pod("trial"), dry_run=True)
    except KubeError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return False
    return True


def told(
    client: Kube, method: str, path: str, body: Any, media: str = "merge-patch+json"
) -> Callable[[], Any]:
    """A request that has no word of its own."""
    return partial(client.request, method, path, body=body, content_type=f"application/{media}")


def daemonset(name: str, spec: Json) -> Json:
    """A DaemonSet of a pod spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": body}


def claims(request: Json) -> list[Json]:
    """A resource claim and a template that ask alike."""
    spec = {"devices": {"requests": [{"name": "r", **request}]}}
    return [
        {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": {"name": "claim"}, "spec": body}
        for kind, body in (("ResourceClaim", spec), ("ResourceClaimTemplate", {"spec": spec}))
    ]
