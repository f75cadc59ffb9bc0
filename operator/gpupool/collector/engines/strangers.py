"""Pods of whose past nothing is known: what they counted before we looked is nobody's event."""

from collections.abc import Iterable, Mapping, Sequence

from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.subject import Subject
from gpupool.model.objects import Key


class Strangers:
    """Remembers which endpoints were read, and which of their pods were not heard yet."""

    def __init__(self) -> None:
        self._known: frozenset[tuple[Key, str]] = frozenset()
        self._unheard: frozenset[PodName] = frozenset()

    def meet(self, subjects: Sequence[Subject], at: float, up: Mapping[PodName, bool]) -> frozenset[PodName]:
        """Pods that were made before their endpoint was first read.

        One that served then, and whose target was down, is a stranger until it is heard.

        Args:
            subjects: all endpoints.
            at: unix seconds of the reading.
            up: whether the target of a pod answers.
        """
        new = [s for s in subjects if (s.slo.key, s.slo.uid) not in self._known]
        self._known = frozenset((s.slo.key, s.slo.uid) for s in subjects)
        met = {pod for s in new for pod in _before(s, (*s.ready, *s.others), at)}
        served = {pod for s in new for pod in _before(s, s.ready, at)}
        living = {pod for s in subjects for pod in s.pods}
        waiting = self._unheard & living
        self._unheard = frozenset(pod for pod in waiting | served if not up.get(pod))
        return waiting | met


def _before(subject: Subject, names: Iterable[str], at: float) -> tuple[PodName, ...]:
    """Pods that were made by a moment; so was one whose birth is not known."""
    return subject.named(name for name in names if subject.born.get(name, 0.0) <= at)
