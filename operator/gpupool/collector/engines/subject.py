"""An endpoint and its pods, as the API server has them: what is read of it is asked by these names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gpupool.collector.engines.meter import PodName
from gpupool.model.slo import Slo


@dataclass(frozen=True, slots=True)
class Subject:
    """An InferenceSLO and its pods.

    Attributes:
        slo: what is promised.
        ready: names of the pods that serve.
        others: of those that do not.
        gone: of those that were there a moment ago: what they did last is read still.
        asleep: it has no pod because nobody asks for it.
        revisions: of each pod, where its revisions are watched.
        born: unix seconds at which pods were made, where that is known.
    """

    slo: Slo
    ready: Sequence[str] = ()
    others: Sequence[str] = ()
    gone: Sequence[str] = ()
    asleep: bool = False
    revisions: Mapping[str, str] = field(default_factory=dict)
    born: Mapping[str, float] = field(default_factory=dict)

    @property
    def pods(self) -> tuple[PodName, ...]:
        """All of them."""
        return self.named((*self.ready, *self.others, *self.gone))

    def named(self, pods: Iterable[str]) -> tuple[PodName, ...]:
        """Pods as series name them."""
        return tuple(PodName(self.slo.key.namespace, pod) for pod in pods)
