"""Activity is the mean over what was seen, however much more than the held time that is."""

from dataclasses import replace

from gpupool.model.objects import Key
from gpupool.policy.attribution import attribute
from gpupool.policy.measure import measure
from support.builders import a_pool, a_share, a_snapshot, granted, nodes, pods, sampled


def test_a_young_pod_at_a_steady_35_percent_shows_35() -> None:
    running = pods(2, "train")
    usage = sampled(running)
    young = tuple(replace(s, activity=35.0, held_seconds=2.0, seen_seconds=6.0) for s in usage.pods)
    snapshot = a_snapshot(
        a_pool(a_share("vision", 8)),
        granted("train", 2),
        nodes=nodes(1),
        pods=running,
        usage=replace(usage, pods=young),
    )
    found = measure(snapshot, attribute(snapshot)).of(Key("vision", "train"))
    assert (found.activity, found.coverage) == (35, 100)
