"""What wakes an endpoint that has no pod: a selector that can neither leave its place nor ask for a range."""

import re
from typing import Annotated

from pydantic import StringConstraints

from gpupool.api.v1alpha1.base import ApiModel
from gpupool.api.v1alpha1.rules import Rule

# Quotes, backslash and newline as \x22 \x27 \x60 \x5c \x0a: the expression stands inside a CEL string.
# Outside double quotes no other quote, brace or comment may stand, so that the text ends where it seems to.
_SELECTOR = (
    r"^[a-zA-Z_:][a-zA-Z0-9_:]*"
    r"([{]([^{}\x22\x27\x60#\x5c\x0a]|\x22([^\x22\x5c\x0a]|\x5c[^\x0a])*\x22)*[}])?$"
)
_COUNTER = r"^[^{]*(_total|_sum|_bucket)([{]|$)"
_FIX = "name a metric, with matchers in double quotes, no range, no function, such as gateway_queue_size"
_IS_SELECTOR, _IS_COUNTER = re.compile(_SELECTOR), re.compile(_COUNTER)

Series = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Rule(
        cel=f"self.matches(r'{_SELECTOR}')",
        message=f"that is no instant selector: {_FIX}",
        shows=(f"%s is no instant selector: {_FIX}", "self"),
        holds=lambda text: _IS_SELECTOR.fullmatch(text) is not None,
    ),
    Rule(
        cel=f"!self.matches(r'{_COUNTER}')",
        message="that is a counter, which never falls back to 0: name a gauge, such as a queue's length",
        shows=(
            "%s is a counter, which never falls back to 0: name a gauge, such as the length of a queue",
            "self",
        ),
        holds=lambda text: _IS_COUNTER.search(text) is None,
    ),
]


class WakeUp(ApiModel):
    """What tells that somebody asks for an endpoint while it has no pod."""

    series: Series
    """A PromQL selector of a gauge that is above 0 while somebody asks, and is there also while no pod runs:
    the length of a queue, or requests under way at a gateway."""
