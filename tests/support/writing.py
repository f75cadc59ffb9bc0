"""A writer under test, and what it told."""

from dataclasses import dataclass, field

from gpupool.applier.retry import RetryPolicy
from gpupool.applier.serverside import Writer
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import Json, ObjectKey, Resource

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


@dataclass
class Heard:
    """An observer that remembers."""

    objects: list[Json] = field(default_factory=list)
    gone: list[tuple[ObjectKey, str]] = field(default_factory=list)

    def written(self, resource: Resource, obj: Json) -> None:
        """Remember an object; it must be of the kind that was written."""
        assert obj["kind"] == resource.kind
        self.objects.append(obj)

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """Remember a deletion."""
        assert resource.plural
        self.gone.append((key, uid))


def writer_of(client: KubeClient, *, within: float = 10.0, concurrency: int = 16) -> tuple[Writer, Heard]:
    """Make a writer that gives up after `within` seconds."""
    heard = Heard()
    policy = RetryPolicy(within=within, first=0.05, longest=0.5)
    return Writer(client, heard, policy=policy, concurrency=concurrency), heard


def config_map(namespace: str, name: str, **data: str) -> Json:
    """An apply body: identity and the data we own."""
    return {"metadata": {"namespace": namespace, "name": name}, "data": data}


def quota(namespace: str, gpus: int) -> Json:
    """An apply body of the quota."""
    return {
        "metadata": {"namespace": namespace, "name": "gpupool"},
        "spec": {"hard": {"requests.nvidia.com/gpu": str(gpus)}},
    }
