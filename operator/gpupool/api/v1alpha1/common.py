"""Pieces that several kinds share: modes, names, selectors, metadata, conditions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Gpus, Timestamp
from gpupool.api.v1alpha1.names import LABEL_KEYS, DnsLabel, LabelKey, LabelText
from gpupool.api.v1alpha1.rules import Rule

MAX_RESOURCES = 8
MAX_CONDITIONS = 16


class Mode(StrEnum):
    """How far the operator goes."""

    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    ENFORCE = "Enforce"


class Purpose(StrEnum):
    """What a pool is for: a set of defaults, printed whole in `status.effectivePolicy`."""

    PRODUCTION = "Production"
    EXPERIMENTATION = "Experimentation"
    BATCH = "Batch"


class Visibility(StrEnum):
    """How much of others a decision record shows."""

    NAMES = "Names"
    TEAMS = "Teams"
    AGGREGATE = "Aggregate"


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(ApiModel):
    """One comparison of a label selector."""

    key: LabelKey
    """Label to compare."""
    operator: Operator
    """In and NotIn compare with `values`; Exists and DoesNotExist take none."""
    values: Annotated[tuple[LabelText, ...], Field(max_length=50)] = Field(default_factory=tuple)
    """Values to compare with."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            message="matchExpressions: In and NotIn need values, Exists and DoesNotExist take none",
            shows=(
                "matchExpressions: %s has %s values: In and NotIn need some, Exists and DoesNotExist none",
                "self.operator",
                "has(self.values) ? string(self.values.size()) : '0'",
            ),
            holds=lambda it: (it.operator in {Operator.IN, Operator.NOT_IN}) == bool(it.values),
            field="values",
        ),
    )


class LabelSelector(ApiModel):
    """A label selector of Kubernetes; both parts must hold, and an empty one is refused."""

    match_labels: Annotated[dict[str, LabelText], Field(max_length=16), LABEL_KEYS] = Field(
        default_factory=dict
    )
    """Labels that must be present with exactly these values."""
    match_expressions: Annotated[tuple[Requirement, ...], Field(max_length=16)] = Field(default_factory=tuple)
    """Comparisons that must all hold."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.matchLabels) && self.matchLabels.size() > 0) ||"
            " (has(self.matchExpressions) && self.matchExpressions.size() > 0)",
            message="an empty selector would select everything: name at least one label in matchLabels"
            " or matchExpressions",
            holds=lambda it: bool(it.match_labels or it.match_expressions),
        ),
    )


class ObjectMeta(ApiModel):
    """The part of an object's metadata that the operator reads."""

    name: str
    """Name of the object."""
    namespace: str | None = None
    """Namespace; absent on cluster-scoped kinds."""
    uid: str = ""
    """Identity given by the API server."""
    generation: int = 0
    """Number of the spec, raised by every change."""
    resource_version: str = ""
    """Number of the whole object, raised by every write."""
    creation_timestamp: Timestamp | None = None
    """When the object was created."""
    deletion_timestamp: Timestamp | None = None
    """When its deletion was asked."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Labels."""
    annotations: Mapping[str, str] = Field(default_factory=dict)
    """Annotations."""


class ConditionStatus(StrEnum):
    """The three states of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One condition, in the form all of Kubernetes uses."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """What is judged."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Number of the spec that was judged."""
    last_transition_time: Timestamp
    """When the status last changed."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Machine reason in one word."""
    message: Annotated[str, StringConstraints(max_length=1024)]
    """The sentence for people."""


# Written by us alone, so the keys are not judged again.
Counts = Annotated[dict[str, Gpus], Field(max_length=MAX_RESOURCES)]
Namespace = DnsLabel
