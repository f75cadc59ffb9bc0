"""Thousands of generated manifests: they crash nothing, the refused change no grant, and every no helps."""

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from integration.manifests.answers import complaint
from integration.manifests.cases import Places, case, cases
from integration.manifests.sending import sender
from integration.manifests.stage import CALM, Stage, sizes, trouble
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import create_nodes, node_manifest
from support.marks import marks
from support.plane import eventually
from support.story import GROUP, Story

FULL: Final = os.environ.get("GPUPOOL_FAULTS") == "full"
COUNT: Final = int(os.environ.get("GPUPOOL_MANIFESTS", "10000" if FULL else "500"))
SEED: Final = int(os.environ.get("GPUPOOL_MANIFESTS_SEED", "20261121"))
BATCH: Final = 250
SHOWN: Final = 40
SHARED: Final = ("gpupool-outsiders", "gpupool-devices")
UNCHECKED: Final = (
    'GpuPool "x" is invalid: [spec.a: Required value, <nil>: Invalid value: null: some validation rules were '
    "not checked because the object was invalid; correct the existing errors to complete validation]"
)
ANYWHERE: Final = Places(["a"], [("group", "a")])


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool of one node, to be told."""
    told = Story(kube, namespace)
    told.add_nodes(1)
    yield told
    told.end()


@pytest.fixture
def stage(kube: Kube, story: Story) -> Iterator[Stage]:
    """A team whose 4 GPUs are granted and walled under Enforce, when the pools of earlier tests are gone."""
    story.until_nobody_enforces()
    team, guests = story.team("granted"), story.team("guests")
    story.pool(shares=[story.share(team, 4), story.share(guests, 2)])
    story.ask(team, "work", 4)
    story.until(lambda: story.in_force(team) == 4, "the wall is in force", CALM)
    story.until_enforced(CALM)
    with sender(kube) as sending:
        yield Stage(kube, sending, story, team)


@pytest.fixture
def places(story: Story) -> Places:
    """Where the generated manifests land: among the guests, in namespaces of nobody, on a free node."""
    free = f"{story.name}-free"
    create_nodes(story.kube, [node_manifest(free, 8, labels={GROUP: free})])
    story.nodes.append(free)
    labels = [(GROUP, free), (GROUP, story.name), ("kubernetes.io/os", "linux"), (GROUP, "nobody")]
    return Places([story.team("guests-too"), story.team("free")], labels)


@pytest.mark.timeout(3600)
def test_generated_manifests_crash_nothing_and_change_no_grant(
    plane: Cluster, stage: Stage, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = plane.layout.logs
    before, logged = stage.standing(), sizes(logs)
    generated = list(cases(SEED, COUNT, places))
    for start in range(0, COUNT, BATCH):
        stage.play(generated[start : start + BATCH])
        assert stage.standing() == before, "a generated manifest changed a standing grant"
    eventually(lambda: not others(stage), lambda: f"the stage is left as it was: {others(stage)}", CALM)
    with capsys.disabled():
        rows = [f"    {what:<40} {number:>7,}" for what, number in sorted(stage.tried.items())]
        title = f"{COUNT:,} generated manifests, seed {SEED}; a batch decided within {stage.slowest:.1f} s"
        print(f"\n  {title}", *rows, sep="\n")
    assert not stage.faults, f"{len(stage.faults)} faults, such as\n" + "\n".join(stage.faults[:SHOWN])
    assert not (found := trouble(logs, logged)), f"{len(found)} lines, such as\n" + "\n".join(found[:SHOWN])


def others(stage: Stage) -> list[str]:
    """What stands of pools beside the standing one, which has what all pools share to itself."""
    found = {*marks(stage.kube)} - {*marks(stage.kube, stage.story.name)}
    return sorted(m for m in found if not m.rpartition(" ")[2].startswith(SHARED))


def test_a_case_is_the_same_again() -> None:
    """Whatever was made before it: no case leaves anything in the values that all are made of."""
    again = [case(SEED, number, ANYWHERE) for number in reversed(range(2_000))]
    assert again[::-1] == list(cases(SEED, 2_000, ANYWHERE))
    assert {c.flavour for c in again} == {"valid", "near", "hostile", "written"}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "spec.gpus: Internal error"),
        (409, "spec.gpus: Invalid value: 3: it must be less"),
        (422, "the thing is bad"),
        (400, "something of this kind went wrong"),
        (422, "the name is bad"),
        (422, 'GpuPool "x" is invalid: [spec.a: Invalid value: 3, spec.b: Invalid value: 4]'),
        (422, 'GpuPool "x" is invalid: [spec.a: Invalid value: 3: it is odd, spec.b: Invalid value: 4]'),
        (422, 'GpuPool "x" is invalid: spec.a: Invalid value: {"a":1}'),
        (422, 'GpuPool "x" is invalid: kinds: Invalid value: 3: it is odd'),
        (422, 'GpuPool "x" is invalid: <nil>: Invalid value: "": it is odd'),
        (422, 'GpuPool "x" is invalid: it is odd'),
        (422, 'GpuPool "x" is invalid: [spec.a: Too long: , spec.b: Required value]'),
        (422, 'CapacityRequest.gpupool.dev "x" is invalid: spec.gpus: Invalid value: 3'),
        (422, 'GpuPool.gpupool.dev "x" is invalid: spec.mode: Unsupported value: "Enforced"'),
    ],
)
def test_a_refusal_without_help_is_told_from_one_with_help(status: int, message: str) -> None:
    assert complaint(status, message)


@pytest.mark.parametrize(
    "message",
    [
        'CapacityRequest.gpupool.dev "x" is invalid: spec.gpus: Invalid value: 0: should be at least 1',
        'GpuPool.gpupool.dev "x" is invalid: spec.nodes: Required value',
        'GpuPool "x" is invalid: [spec.a: Invalid value: 3: it is odd, spec.b: Required value]',
        'GpuPool "x" is invalid: spec: Invalid value: {"a":1}: a and b exclude each other',
        UNCHECKED,
        'GpuPool "x" is invalid: spec.a.b: Invalid value: a key is letters and digits',
        'GpuPool "x" is invalid: <nil>: Invalid value: metadata.name has 64 characters: write at most 63',
        'strict decoding error: unknown field ""',
        'GpuPool "x" is invalid: [spec.a[0]: Too long: at most 8 bytes, spec.b: Too many: 9: at most 8]',
        'GpuPool "x" is invalid: <nil>: Invalid value: "": must be of type integer in spec.reserve',
        'strict decoding error: unknown field "spec.minGPUs"',
        'GpuPool in version "" cannot be handled as a GpuPool: .apiVersion accessor error: expected string',
        "yaml: line 3: mapping values are not allowed in this context",
    ],
)
def test_a_refusal_with_help_passes(message: str) -> None:
    assert not complaint(422, message)
