"""What is said of CPU and memory of an endpoint's inference container."""

from typing import Annotated

from pydantic import Field, StringConstraints

from gpupool.api.v1alpha1.base import ApiModel, Timestamp

MAX_DAYS = 8
Count = Annotated[float, Field(ge=0)]
Quantity = Annotated[str, StringConstraints(max_length=32)]
Name = Annotated[str, StringConstraints(max_length=253)]
Sentence = Annotated[str, StringConstraints(max_length=1024)]


class Quantities(ApiModel):
    """CPU and memory, as Kubernetes writes them."""

    cpu: Quantity | None = None
    """Such as 1500m."""
    memory: Quantity | None = None
    """Such as 2048Mi."""


class Recommendation(ApiModel):
    """What the VPA's recommender says, as it wrote it."""

    target: Quantities | None = None
    """What it would request."""
    lower_bound: Quantities | None = None
    """Below this it would change a pod's requests."""
    upper_bound: Quantities | None = None
    """And above this."""


class UseDay(ApiModel):
    """The most that a replica's container used on a day."""

    at: Timestamp
    """When the day began."""
    cpu: Count
    """Cores, the highest mean over an evaluation window."""
    memory_mebibytes: Count
    """The highest working set."""
    raised: Count | None = None
    """Cores that a diagnosis of CPUBound asks for at least."""


class Use(ApiModel):
    """What the container used over the last days."""

    since: Timestamp
    """When it was first looked at."""
    until: Timestamp
    """Until when it was looked at to learn; then bounds follow."""
    days: Annotated[tuple[UseDay, ...], Field(max_length=MAX_DAYS)] = Field(default_factory=tuple)
    """Day by day."""


class ResourcesStatus(ApiModel):
    """Bounds for CPU and memory of the inference container."""

    container: Name | None = None
    """Its name."""
    vpa: Name | None = None
    """The VerticalPodAutoscaler of the workload."""
    update_mode: Annotated[str, StringConstraints(max_length=32)] | None = None
    """Its update mode; only Initial and Off restart nothing."""
    min_allowed: Quantities | None = None
    """The least that its requests should be: its busiest moment and 15 percent."""
    max_allowed: Quantities | None = None
    """The most that they should be: twice that."""
    recommendation: Recommendation | None = None
    """What the recommender says."""
    reason: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Machine reason: Adopted, Created, or why nothing is written."""
    message: Sentence | None = None
    """The arithmetic, or what is in the way."""
    use: Use | None = None
    """What it used."""
