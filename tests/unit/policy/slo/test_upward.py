"""What is known without a latency: load and queues are lower bounds, and pods that start are waited for."""

from gpupool.model.signals import Starting
from gpupool.model.steering import Need
from gpupool.policy.slo.upward import upward
from support.signals import a_pod, a_profile, seen, situation


def test_load_beyond_what_replicas_carry() -> None:
    found = upward(situation(seen(a_pod(requests=12), a_pod(requests=12)), profile=a_profile(10.0)))
    assert found == Need(3, "24 requests/s end, a replica was seen to carry 10")


def test_a_profile_that_is_young_or_empty_says_nothing() -> None:
    for profile in (None, a_profile(10.0, samples=2), a_profile(0.0)):
        assert upward(situation(profile=profile)) is None
    assert upward(situation(seen(a_pod(requests=None)), profile=a_profile())) is None


def test_a_queue_at_every_replica_asks_for_one_more() -> None:
    queued = (a_pod(waiting=3), a_pod(waiting=5))
    found = upward(situation(seen(*queued)))
    assert found == Need(3, "3.0 requests or more wait at each of 2 replicas")
    assert upward(situation(seen(*queued, starting=(Starting("new", 5.0),)))) is None
    assert upward(situation(seen(a_pod(waiting=3), a_pod(waiting=0)))) is None
    assert upward(situation(seen(a_pod(waiting=None)))) is None


def test_the_higher_bound_counts() -> None:
    found = upward(situation(seen(a_pod(waiting=3, requests=50)), profile=a_profile(10.0)))
    assert found is not None
    assert found.replicas == 5
