"""The scenarios of the design review, each as a test that reads like it.

Rows (situation) and where they are played: names without a folder are in this one, `operator/`, `faults/` and
so on stand beside it, `unit/` are table tests of the same decision.

 1 A has 64, uses 20; B waits          operator/test_lending, operator/test_granting
 2 one of three requests under-used    test_siblings, unit/policy/test_reclaim (SharedWithOthers)
 3 two requests match one Deployment   test_siblings, unit/policy/test_attribution
 4 training idle for two hours         what is idle is not taken yet: comes with idle units
 5 HPA scales up during a reclaim      demand: operator/test_lending; the ceiling comes with InferenceSLO
 6 KEDA at zero; autoscaled pool at 0    unit/policy/test_reclaim (the peak is kept); test_declared
 7 drain of a node, pool full          faults/test_nodes, unit/policy/test_shortage
 8 node lost, guarantees short         test_lost_nodes, faults/test_nodes, unit/policy/test_shortage
 9 recall, borrower with PDB 0         test_recalled, unit/policy/test_eviction
10 MIG and whole GPUs; two models      test_models, unit/policy/test_shortage
11 MIG repartition                     test_models, unit/policy/test_shortage
12 DRA only                            policies: attackers/; capacity from ResourceSlices comes with DRA
13 no mutating policies                operator/test_isolation (validate-only), isolation/
14 Kueue on the namespace              test_others
15 brownfield                          brownfield/
16 existing ResourceQuotas             test_others, unit/policy/test_foreign_quota
17 uninstall                           chart/test_life
18 GpuPool deleted                     test_moves, operator/test_modes
19 upgrade                             chart/test_life
20 namespace moves A to B              test_moves, unit/policy/test_moves
21 request deleted, pods run           test_recalled, unit/policy/test_recall
22 grant expires                       comes with expiry
23 Prometheus down                     telemetry/, faults/test_senses
24 overlapping node selectors          test_moves, unit/policy/test_membership
25 edit 16 to 64                       operator/test_granting, unit/policy/test_claims
26 edit 64 to 16 with 40 held          operator/test_granting, unit/policy/test_claims
27 GitOps re-applies 64                unit/simulator/test_laws (spec is never written)
28 fragmentation                       comes with podShape
29 InferenceSLO without a request      comes with InferenceSLO
30 two replicas, leader frozen         leader/
31 attacker                            attackers/, test_restored (recreate)
32 production needs 8 GPUs now         comes with the override
33 why did vision lose 40              operator/test_lending (Events, metrics), unit/telemetry/test_logs
34 restore from backup                 test_restored, unit/policy/test_rebuilding
35 blockers of others                  unit/policy/test_explain (visibility)
"""

from collections.abc import Callable, Iterator

import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from support.story import Story

LONG = 120.0
"""Seconds that anything may take on a busy machine."""


def enforced(story: Story) -> None:
    """Wait until quotas, labels and policies stand as the spec now says and were probed."""
    story.until_enforced()


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool's stage: nodes, namespaces and names that no other test uses."""
    told = Story(kube, namespace)
    yield told
    told.end()


@pytest.fixture
def other(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A second pool beside it."""
    told = Story(kube, namespace)
    yield told
    told.end()


@pytest.fixture
def operator(kube: Kube) -> Iterator[Kube]:
    """Acting as the operator itself, which alone may write statuses and our quotas."""
    with kube.impersonating("system:serviceaccount:gpupool-system:gpupool") as client:
        yield client
