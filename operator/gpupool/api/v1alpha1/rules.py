"""Rules that span fields, each written once in two languages and placed beside the field it judges.

A rule carries the CEL that the API server runs and the Python twin that we run. Both halves stand together,
so that nobody changes one without seeing the other; the table of wrong manifests is run through both.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gpupool.api.v1alpha1.durations import format_duration, parse_duration

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule on a model (listed in its `rules`) or on a field (inside `Annotated`).

    Attributes:
        cel: Expression over `self`; with `oldSelf` it is a transition rule, for the API server alone.
        message: What is wrong and how to put it right, without the value.
        shows: The same sentence with `%s` where values stand, then one CEL string for each of them. It
            becomes one call of `format`: strings glued by `+` have no known size in the API server's cost
            estimate, which then refuses the CRD. Empty where the API server prints the value anyway.
        holds: The Python twin; None for a transition rule, which needs the object before the change.
        field: Name of the field to blame, relative to `self`; empty for `self` as a whole.
    """

    cel: str
    message: str
    shows: tuple[str, ...] = ()
    holds: Callable[[Any], bool] | None = None
    field: str = ""

    def as_validation(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        if self.shows:
            template, *values = self.shows
            entry["messageExpression"] = f"'{template}'.format([{', '.join(values)}])"
        if self.field:
            entry["fieldPath"] = f".{self.field}"
        return entry

    def check(self, value: Any) -> Any:
        """Return the value, or raise ValueError with the rule's message."""
        if self.holds is not None and not self.holds(value):
            raise ValueError(self.message)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json = handler(schema)
        json[VALIDATIONS] = [*json.get(VALIDATIONS, []), self.as_validation()]
        return json


def form(pattern: str, said: str) -> Rule:
    """A text of that form, where a bare pattern would tell nobody what to write.

    Args:
        pattern: Read alike by RE2 and Python; without quotes and backslashes.
        said: Follows the text itself: "is no currency: write three capitals, such as USD".
    """
    whole = re.compile(pattern)
    return Rule(
        cel=f"self.matches('{pattern}')",
        message=f"that {said}",
        shows=(f"%s {said}", "self"),
        holds=lambda text: whole.fullmatch(text) is not None,
    )


def span(field: str, low: str, high: str) -> Rule:
    """Bound a duration, both ends included. `low` and `high` are durations of Go (no d and w)."""
    least, most = parse_duration(low), parse_duration(high)
    shown = f"{format_duration(least)} and {format_duration(most)}"

    def inside(value: timedelta) -> bool:
        return least <= value <= most

    return Rule(
        cel=f"self >= duration('{low}') && self <= duration('{high}')",
        message=f"{field} must be between {shown}: write a duration inside these bounds",
        shows=(f"{field} is %s: write a duration between {shown}", "string(self)"),
        holds=inside,
    )


@dataclass(frozen=True, slots=True)
class Distinct:
    """A list whose items differ; with `key`, whose items differ in that field (a map written as a list)."""

    key: str = ""

    def check(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return the items, or raise ValueError naming the first one that stands twice."""
        seen: set[Hashable] = set()
        for item in items:
            mark = getattr(item, self.key) if self.key else item
            if mark in seen:
                raise ValueError(f"{mark!r} stands twice: keep one of them")
            seen.add(mark)
        return items

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json = handler(schema)
        json["x-kubernetes-list-type"] = "map" if self.key else "set"
        if self.key:
            json["x-kubernetes-list-map-keys"] = [self.key]
        return json
