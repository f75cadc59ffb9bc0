"""What a pool's admission policies depend on, and the words they share."""

from __future__ import annotations

from dataclasses import dataclass

from gpupool.model.marks import MANAGED, POOL_LABEL

PROBE_LABEL = "gpupool.dev/probe"
PROBE_INJECT_LABEL = "gpupool.dev/probe-inject"
NAME_LABEL = "kubernetes.io/metadata.name"

# Names under which vendors advertise whole devices and slices of them. Not all of `nvidia.com/`: network
# devices (`nvidia.com/hostdev`) stand beside a GPU in most distributed training pods.
GPU_PREFIXES = (
    "nvidia.com/gpu",
    "nvidia.com/mig-",
    "amd.com/gpu",
    "amd.com/spx_",
    "amd.com/dpx_",
    "amd.com/qpx_",
    "amd.com/cpx_",
    "habana.ai/gaudi",
    "aws.amazon.com/neuron",
    "google.com/tpu",
    "huawei.com/Ascend",
    "cambricon.com/",
    "hygon.com/dcu",
    "metax-tech.com/",
    "aliyun.com/gpu",
    "tencent.com/vcuda",
    "volcano.sh/vgpu",
)
GPU_NAMES = (
    "gpu.intel.com/i915",
    "gpu.intel.com/i915_monitoring",
    "gpu.intel.com/xe",
    "gpu.intel.com/xe_monitoring",
)
# Every DeviceClass can be asked for as an extended resource of this domain; these are the names of those that
# stand for GPUs.
DEVICE_CLASS_RESOURCE = "deviceclass.resource.kubernetes.io/"
DEVICE_CLASSES = "(^|[./-])(v?gpus?|mig|tpus?|npus?|neuron|gaudi)([.-]|$)"


@dataclass(frozen=True, slots=True)
class PoolPolicySpec:
    """All that the policies of one pool are made of.

    Attributes:
        pool: name of the GpuPool; at most 63 characters.
        uid: its UID, for the owner reference.
        resources: GPU resource names the pool governs, the default one first; never empty.
        enforce: whether any share's isolation stands at Enforce; its namespaces carry the pool label.
        rehearse: whether what Enforce would deny is to be tried, in the probe namespace alone.
        recommend_namespaces: namespaces of the shares whose isolation stands at Recommend.
        mutate: whether a MutatingAdmissionPolicy is served and wanted.
        exempt_namespaces: namespaces no policy of ours looks at.
        break_glass_group: people in this group pass every policy; empty for none.
        probe_namespace: where the operator's dry-run pods prove that the policies deny.
        nodes_labelled: whether the pool's nodes carry the node label; until they do, Recommend does not
            tell anybody to select it.
        priority_classes: those GPU pods may name; none stands for all but the system's.
        schedulers: those GPU pods may name; none stands for all.
    """

    pool: str
    uid: str
    resources: tuple[str, ...]
    enforce: bool
    recommend_namespaces: tuple[str, ...] = ()
    mutate: bool = False
    exempt_namespaces: tuple[str, ...] = ()
    break_glass_group: str = ""
    probe_namespace: str = "gpupool-probe"
    nodes_labelled: bool = True
    rehearse: bool = False
    priority_classes: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a spec whose policies would deny every GPU pod or none.

        Raises:
            ValueError: `pool` or `resources` is empty.
        """
        if not self.pool or not self.resources:
            raise ValueError("a pool's policies need the pool's name and at least one resource")

    @property
    def recommended(self) -> tuple[str, ...]:
        """The namespaces that are warned, sorted, without the exempt ones."""
        return tuple(sorted(set(self.recommend_namespaces) - set(self.exempt_namespaces)))


def policy_name(pool: str, part: str) -> str:
    """The name of one of a pool's policies.

    The part stands last and no part ends in another one, so two pools never share a name.
    """
    return f"gpupool-{pool}-{part}"


def metadata(spec: PoolPolicySpec, part: str) -> dict[str, object]:
    """Name, labels and the reference that lets the API server collect the object with its pool."""
    owner = {**owner_reference(spec.pool, spec.uid), "controller": True}
    return {
        "name": policy_name(spec.pool, part),
        "labels": {**MANAGED, POOL_LABEL: spec.pool},
        "ownerReferences": [owner],
    }


def owner_reference(pool: str, uid: str) -> dict[str, object]:
    """A reference to a GpuPool; deleting it waits for nothing of ours."""
    kind = {"apiVersion": "gpupool.dev/v1alpha1", "kind": "GpuPool"}
    return {**kind, "name": pool, "uid": uid, "blockOwnerDeletion": False}
