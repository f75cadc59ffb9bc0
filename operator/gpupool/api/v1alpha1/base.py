"""What every model of the API shares: names in camelCase, frozen values, rules."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import override

from gpupool.api.v1alpha1.rules import VALIDATIONS, Rule

GROUP = "gpupool.dev"
VERSION = "v1alpha1"
API_VERSION: Literal["gpupool.dev/v1alpha1"] = "gpupool.dev/v1alpha1"
MAX_GPUS = 100_000


class ApiModel(BaseModel):
    """One object of the API.

    Unknown fields are ignored on reading: the API server has refused or pruned them already, and an older
    operator must be able to read what a newer CRD allowed.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        reference = handler(schema)
        if cls.rules:
            handler.resolve_ref_schema(reference)[VALIDATIONS] = [rule.as_validation() for rule in cls.rules]
        return reference

    def to_wire(self) -> dict[str, Any]:
        """Return the object as JSON values: camelCase, fields without a value left out."""
        return self.model_dump(mode="json", exclude_none=True)


def explain(error: ValidationError) -> str:
    """Return what is wrong as sentences: field, value where it is small, and the fix; joined by `; `."""
    return "; ".join(_sentence(item["loc"], item["msg"], item["input"]) for item in error.errors())


def _sentence(location: tuple[int | str, ...], message: str, value: object) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    text = message.removeprefix("Value error, ")
    shown = f" ({value!r})" if isinstance(value, str | int | float | bool) and repr(value) not in text else ""
    return f"{path}{shown}: {text}" if path else text


def write_time(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC, exact to the microsecond."""
    utc = moment.astimezone(UTC)
    precision = "microseconds" if utc.microsecond else "seconds"
    return utc.isoformat(timespec=precision).replace("+00:00", "Z")


Timestamp = Annotated[AwareDatetime, PlainSerializer(write_time, return_type=str, when_used="json")]
Gpus = Annotated[int, Strict(), Field(ge=0, le=MAX_GPUS)]
Percent = Annotated[int, Strict(), Field(ge=0, le=100)]
PositivePercent = Annotated[int, Strict(), Field(ge=1, le=100)]
Flag = Annotated[bool, Strict()]
