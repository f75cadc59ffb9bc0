"""Label selectors, as Kubernetes defines them, over plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    """Operators of a label selector expression."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Expression:
    """One requirement of `matchExpressions`."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy this requirement."""
        value = labels.get(self.key)
        if self.operator is Operator.EXISTS:
            return value is not None
        if self.operator is Operator.DOES_NOT_EXIST:
            return value is None
        # A missing label is in no list, so it satisfies NotIn.
        return (value in self.values) is (self.operator is Operator.IN)

    def __str__(self) -> str:
        if self.operator is Operator.EXISTS:
            return self.key
        if self.operator is Operator.DOES_NOT_EXIST:
            return f"!{self.key}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; all requirements must hold. An empty one matches nothing here.

    Kubernetes lets an empty selector match everything; for deciding who owns GPUs that is never meant,
    and the API refuses it.
    """

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Expression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy every requirement."""
        if not self.labels and not self.expressions:
            return False
        return all(labels.get(k) == v for k, v in self.labels) and all(
            e.matches(labels) for e in self.expressions
        )

    def __str__(self) -> str:
        return ",".join([*(f"{k}={v}" for k, v in sorted(self.labels)), *(str(e) for e in self.expressions)])
