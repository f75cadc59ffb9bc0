"""The configuration: defaults, every variable, and what is said of a wrong one."""

import json

import pytest
from pydantic import SecretStr

from gpupool.errors import SettingsError
from gpupool.runtime.settings import LogLevel, Mutate, Settings, read


def test_without_any_variable_everything_has_a_default() -> None:
    found = read({"PATH": "/bin", "HOME": "/"})
    assert found == Settings()
    assert (found.prometheus_url, found.metrics_port, found.health_port) == ("", 8080, 8081)
    assert (found.cycle_interval, found.exempt_namespaces) == (15.0, ("kube-system",))


def test_every_variable_is_read() -> None:
    found = read(
        {
            "GPUPOOL_PROMETHEUS_URL": "https://prometheus:9090/tenant",
            "GPUPOOL_PROMETHEUS_CREDENTIALS": "/etc/gpupool/prometheus",
            "GPUPOOL_PROMETHEUS_INSECURE": "true",
            "GPUPOOL_PROMETHEUS_HEADERS": '{"X-Scope-OrgID": "gpu"}',
            "GPUPOOL_PROMETHEUS_OWN_JOBS": "gpupool-metrics",
            "GPUPOOL_PROMETHEUS_EXPORTER_NAMESPACES": "gpu-operator, monitoring",
            "GPUPOOL_METRICS_PORT": "9000",
            "GPUPOOL_HEALTH_PORT": "9001",
            "GPUPOOL_METRICS_API_SERVICE": "gpupool-external-metrics",
            "GPUPOOL_METRICS_API_PORT": "9443",
            "GPUPOOL_POLICIES_MUTATE": "False",
            "GPUPOOL_GUARDS": "gpupool-use,gpupool-quota-guard",
            "GPUPOOL_EXEMPT_NAMESPACES": "kube-system, monitoring,,",
            "GPUPOOL_BREAK_GLASS_GROUP": "sre",
            "GPUPOOL_PROBE_NAMESPACE": "probe",
            "GPUPOOL_CYCLE_INTERVAL": "0.5",
            "GPUPOOL_LOG_LEVEL": "DEBUG",
            "GPUPOOL_DEPLOYMENT": "d",
            "GPUPOOL_HOST": "127.0.0.1",
            "GPUPOOL_LEASE_DURATION": "20",
            "GPUPOOL_LEASE_GIVE_UP": "12",
            "GPUPOOL_LEASE_RENEW": "4",
            "GPUPOOL_LEASE_RETRY": "0.5",
            "POD_NAME": "gpupool-1",
            "POD_NAMESPACE": "gpus",
            "POD_UID": "1",
            "POD_IP": "10.0.0.7",
        }
    )
    assert found == Settings(
        prometheus_url="https://prometheus:9090/tenant",
        prometheus_credentials="/etc/gpupool/prometheus",
        prometheus_insecure=True,
        prometheus_headers={"X-Scope-OrgID": SecretStr("gpu")},
        prometheus_own_jobs=("gpupool-metrics",),
        prometheus_exporter_namespaces=("gpu-operator", "monitoring"),
        metrics_port=9000,
        health_port=9001,
        metrics_api_service="gpupool-external-metrics",
        metrics_api_port=9443,
        policies_mutate=Mutate.FALSE,
        guards=("gpupool-use", "gpupool-quota-guard"),
        exempt_namespaces=("kube-system", "monitoring"),
        break_glass_group="sre",
        probe_namespace="probe",
        cycle_interval=0.5,
        log_level=LogLevel.DEBUG,
        deployment="d",
        host="127.0.0.1",
        lease_duration=20.0,
        lease_give_up=12.0,
        lease_renew=4.0,
        lease_retry=0.5,
        pod_name="gpupool-1",
        pod_namespace="gpus",
        pod_uid="1",
        pod_ip="10.0.0.7",
    )


def test_no_namespace_may_be_exempt() -> None:
    assert read({"GPUPOOL_EXEMPT_NAMESPACES": ""}).exempt_namespaces == ()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PROMETHEUS_INSECURE", "perhaps", "valid boolean"),
        ("METRICS_PORT", "http", "valid integer"),
        ("METRICS_PORT", "0", "greater than or equal to 1"),
        ("HEALTH_PORT", "65536", "less than or equal to 65535"),
        ("HEALTH_PORT", "8080", "is the metrics port too"),
        ("METRICS_API_PORT", "8081", "is the health port too"),
        ("POLICIES_MUTATE", "sometimes", "'auto', 'true' or 'false'"),
        ("CYCLE_INTERVAL", "0", "greater than 0"),
        ("CYCLE_INTERVAL", "nan", "Input should be"),
        ("CYCLE_INTERVAL", "inf", "less than or equal to 3600"),
        ("CYCLE_INTERVAL", "15s", "valid number"),
        ("LEASE_DURATION", "0", "greater than or equal to 1"),
        ("LEASE_GIVE_UP", "10.0", "must be less than GPUPOOL_LEASE_DURATION (10)"),
        ("LEASE_RENEW", "6.0", "must be less than GPUPOOL_LEASE_GIVE_UP (6)"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("PROMETEUS_URL", "http://x", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read({f"GPUPOOL_{name}": value})
    text = str(refusal.value)
    assert text.startswith("configuration: ")
    assert f"GPUPOOL_{name}={value!r}" in text or f"GPUPOOL_{name}={value}" in text
    assert says in text


def test_the_metrics_port_may_not_be_the_health_ports_default_either() -> None:
    with pytest.raises(SettingsError, match=r"GPUPOOL_HEALTH_PORT=8081: .*is the metrics port too"):
        read({"GPUPOOL_METRICS_PORT": "8081"})


def test_all_wrong_variables_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        read({"GPUPOOL_METRICS_PORT": "x", "GPUPOOL_LOG_LEVEL": "y", "GPUPOOL_CYCLE_INTERVAL": "-1"})
    for name in ("METRICS_PORT='x'", "LOG_LEVEL='y'", "CYCLE_INTERVAL='-1'"):
        assert f"GPUPOOL_{name}" in str(refusal.value)


@pytest.mark.parametrize("name", ["GPUPOOL_CACHE", "GPUPOOL_LOCAL_X", "GPUPOOL_SERVICEACCOUNT_DIR", "OTHER"])
def test_variables_that_others_read_are_left_alone(name: str) -> None:
    assert read({name: "x"}) == Settings()


def test_no_secret_is_shown_with_the_settings() -> None:
    given = {
        "GPUPOOL_PROMETHEUS_URL": "https://ada:s3cret@prometheus",
        "GPUPOOL_PROMETHEUS_HEADERS": '{"X-Key": "s3cret"}',
    }
    shown = json.dumps(read(given).model_dump(mode="json"))
    assert "s3cret" not in shown
    assert "https://***@prometheus" in shown


@pytest.mark.parametrize("headers", ['{"X-Key": {"s3cret": 1}}', '["s3cret"]', '{"X-Key": "s3cret"'])
def test_wrong_headers_are_named_without_what_they_hold(headers: str) -> None:
    with pytest.raises(SettingsError, match="GPUPOOL_PROMETHEUS_HEADERS") as refusal:
        read({"GPUPOOL_PROMETHEUS_HEADERS": headers})
    assert "s3cret" not in str(refusal.value)


def test_a_shorter_lease_than_what_a_leader_gives_up_after_is_refused_by_the_name_of_the_longer() -> None:
    with pytest.raises(SettingsError, match=r"GPUPOOL_LEASE_GIVE_UP=6.0: .*GPUPOOL_LEASE_DURATION \(5\)"):
        read({"GPUPOOL_LEASE_DURATION": "5"})
