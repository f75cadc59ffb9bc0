"""The operator's configuration: environment variables, validated once at start."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from gpupool.api.v1alpha1 import parse_duration
from gpupool.errors import SettingsError
from gpupool.model.outsiders import Outsiders

PREFIX = "GPUPOOL_"
_USER = re.compile(r"//[^/@]*@")
"""User and password in a URL: never shown."""


class Mutate(StrEnum):
    """Whether GPU pods are given their pool's selector and toleration."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _json(value: Any) -> Any:
    return json.loads(value or "{}") if isinstance(value, str) else value


def _title(value: Any) -> Any:
    return value.capitalize() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    return parse_duration(value).total_seconds() if isinstance(value, str) else value


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0.1, le=120, validate_default=True)]


class Settings(BaseModel):
    """One field per variable `GPUPOOL_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prometheus_url: str = ""
    """Base URL of a Prometheus-compatible store; empty: use is not measured and nothing is taken for it.
    One that cannot be used is told in every pool's TelemetryHealthy: giving goes on without it."""
    prometheus_credentials: str = ""
    """Folder with any of `token`, `username` and `password`, `ca.crt`; read again when they change."""
    prometheus_insecure: bool = False
    """Do not verify Prometheus' certificate."""
    prometheus_headers: Annotated[dict[str, SecretStr], BeforeValidator(_json)] = Field(default_factory=dict)
    """More headers of every question, as a JSON object."""
    prometheus_own_jobs: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Jobs that scrape the operator itself; gpupool_* series of others count for nothing. Empty: any."""
    prometheus_exporter_namespaces: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Namespaces whose targets may be GPU exporters; empty: any one."""
    metrics_port: Port = 8080
    """Where our own metrics are served."""
    health_port: Annotated[Port, Field(validate_default=True)] = 8081
    """Where /healthz and /readyz are served."""
    metrics_api_service: str = ""
    """Service through which external.metrics.k8s.io is served; empty: it is not served."""
    metrics_api_port: Annotated[Port, Field(validate_default=True)] = 8443
    """Where it is served."""
    policies_mutate: Annotated[Mutate, BeforeValidator(_lower)] = Mutate.AUTO
    """Inject selector and toleration: by discovery, always, never."""
    policies_outsiders: Annotated[Outsiders, BeforeValidator(_title)] = Outsiders.AUTO
    """What is done about pods outside the pools: what the pools' modes say, at most a warning, or nothing."""
    guards: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Bindings of the guards that the chart installs, looked after; empty: it installs none."""
    exempt_namespaces: Annotated[tuple[str, ...], BeforeValidator(_split)] = ("kube-system",)
    """Namespaces no policy looks at; their GPUs are the system's."""
    break_glass_group: str = ""
    """People of this group pass every policy."""
    probe_namespace: str = "gpupool-probe"
    """Where policies are proved by dry run."""
    cycle_interval: Annotated[float, Field(gt=0, le=3600)] = 15.0
    """Seconds between two looks at a pool in which nothing happened."""
    evaluation_window: Annotated[float, BeforeValidator(_seconds), Field(ge=10, le=3600)] = 300.0
    """Seconds over which it is judged what limits an endpoint."""
    log_level: Annotated[LogLevel, BeforeValidator(_lower)] = LogLevel.INFO
    """How much is logged."""
    deployment: str = "gpupool"
    """Our own Deployment, which the release stops first."""
    pod_name: str = ""
    """Name of this process, shown in Events and in the Lease."""
    pod_namespace: str = "gpupool-system"
    """Where the Lease is; it is named like our Deployment."""
    pod_uid: str = ""
    """Uid of our own pod."""
    pod_ip: str = ""
    """Its address, to which the API server is led for the metrics API."""
    lease_duration: Annotated[float, Field(ge=1, le=120)] = 10.0
    """Seconds after which a leadership that was not renewed may be taken over."""
    lease_give_up: Seconds = 6.0
    """Seconds without a confirmed renewal after which a leader ends; less than the duration."""
    lease_renew: Seconds = 2.0
    """Seconds between two renewals; less than what a leader gives up after."""
    lease_retry: Seconds = 1.0
    """Seconds between two looks of a standby at the Lease, and after a failed renewal."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's probes and metrics come from outside the pod
    """Address that metrics and health are served on."""

    @field_serializer("prometheus_url")
    def _shown(self, url: str) -> str:
        return _USER.sub("//***@", url)

    @field_validator("lease_give_up", "lease_renew")
    @classmethod
    def _shorter(cls, seconds: float, info: ValidationInfo) -> float:
        longer = {"lease_give_up": "lease_duration", "lease_renew": "lease_give_up"}[info.field_name or ""]
        limit = info.data.get(longer)
        if limit is not None and seconds >= limit:
            raise ValueError(f"must be less than {PREFIX}{longer.upper()} ({limit:g})")
        return seconds

    @field_validator("health_port", "metrics_api_port")
    @classmethod
    def _own_port(cls, port: int, info: ValidationInfo) -> int:
        for other in ("metrics_port", "health_port"):
            if other != info.field_name and port == info.data.get(other):
                raise ValueError(f"is the {other.replace('_', ' ')} too: give each its own")
        return port


_FOREIGN = ("SERVICEACCOUNT_DIR", "CACHE", "LOCAL", "METRICS_URL", "MOUNT_", "PLANE")
"""Beginnings of variables of the same prefix that are read elsewhere (client, local plane)."""


_PLAIN = ("POD_NAME", "POD_NAMESPACE", "POD_UID", "POD_IP")
"""Variables without the prefix, as Kubernetes' own examples name them."""


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: every wrong variable with its value and what is asked instead.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not name.removeprefix(PREFIX).startswith(_FOREIGN)
    }
    given |= {name.lower(): environ[name] for name in _PLAIN if environ.get(name)}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}{_input(e['loc'], e['input'])}: {e['msg']}"
            for e in error.errors()
        )
        raise SettingsError(f"configuration: {wrong}") from error


def _input(where: tuple[int | str, ...], given: Any) -> str:
    """What was given; headers may be secrets."""
    return "" if where[0] == "prometheus_headers" else f"={given!r}"
