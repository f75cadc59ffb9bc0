"""What the chart renders, and what it leaves out when a value is unset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chart.finding import RefusedError, container, environment, of_kind, only
from gpupool.api.kinds import KINDS
from localplane.paths import CHART, CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
MONITORING = ("monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule")


def test_helm_lint_finds_nothing_wrong(helm: Callable[..., str]) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_two_replicas_roll_one_by_one_apart_from_each_other(defaults: list[Json]) -> None:
    spec = only(defaults, "Deployment")["spec"]
    assert spec["replicas"] == 2
    rolling = {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == (
        "kubernetes.io/hostname",
        "ScheduleAnyway",
    )
    assert spread["labelSelector"] == spec["selector"]
    assert container(only(defaults, "Deployment"))["command"] == ["gpupool", "run"]


def test_a_drained_node_takes_one_replica_at_a_time_and_a_single_one_holds_no_drain_up(
    defaults: list[Json], render: Callable[..., list[Json]]
) -> None:
    budget = only(defaults, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == only(defaults, "Deployment")["spec"]["selector"]
    single = render("replicas=1")
    assert of_kind(single, "PodDisruptionBudget") == []
    assert only(single, "Deployment")["spec"]["replicas"] == 1
    assert "topologySpreadConstraints" not in only(single, "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("kind", ["Deployment", "Job", "Pod"])
def test_pods_keep_the_restricted_standard(defaults: list[Json], kind: str) -> None:
    workload = only(defaults, kind)
    pod = workload["spec"] if kind == "Pod" else workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_whole_configuration_is_the_environment(defaults: list[Json]) -> None:
    found = environment(only(defaults, "Deployment"))
    glibc = {name: found.pop(name) for name in tuple(found) if name.startswith("MALLOC_")}
    assert glibc == {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    assert found == {
        "GPUPOOL_PROMETHEUS_URL": "",
        "GPUPOOL_PROMETHEUS_INSECURE": "false",
        "GPUPOOL_PROMETHEUS_HEADERS": "{}",
        "GPUPOOL_PROMETHEUS_OWN_JOBS": "gpupool-metrics",
        "GPUPOOL_PROMETHEUS_EXPORTER_NAMESPACES": "",
        "GPUPOOL_METRICS_PORT": "8080",
        "GPUPOOL_HEALTH_PORT": "8081",
        "GPUPOOL_POLICIES_MUTATE": "Auto",
        "GPUPOOL_POLICIES_OUTSIDERS": "Auto",
        "GPUPOOL_GUARDS": ",".join(refusing(defaults)),
        "GPUPOOL_EXEMPT_NAMESPACES": "gpu-operator,gpupool-system,kube-system,monitoring",
        "GPUPOOL_BREAK_GLASS_GROUP": "gpupool:break-glass",
        "GPUPOOL_PROBE_NAMESPACE": "gpupool-probe",
        "GPUPOOL_CYCLE_INTERVAL": "15",
        "GPUPOOL_EVALUATION_WINDOW": "5m",
        "GPUPOOL_LOG_LEVEL": "info",
        "GPUPOOL_DEPLOYMENT": "gpupool",
        "GPUPOOL_LEASE_DURATION": "10",
        "GPUPOOL_LEASE_GIVE_UP": "6",
        "GPUPOOL_LEASE_RENEW": "2",
        "GPUPOOL_LEASE_RETRY": "1",
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
    }


def refusing(manifests: list[Json]) -> list[str]:
    """The bindings of the chart that deny."""
    bindings = of_kind(manifests, "ValidatingAdmissionPolicyBinding")
    return sorted(b["metadata"]["name"] for b in bindings if "Deny" in b["spec"]["validationActions"])


def test_the_operator_is_told_every_guard_that_denies(render: Callable[..., list[Json]]) -> None:
    manifests = render("fullnameOverride=walls")
    names = environment(only(manifests, "Deployment"))["GPUPOOL_GUARDS"].split(",")
    assert names == refusing(manifests)
    policies = {p["metadata"]["name"] for p in of_kind(manifests, "ValidatingAdmissionPolicy")}
    for binding in of_kind(manifests, "ValidatingAdmissionPolicyBinding"):
        name, policy = binding["metadata"]["name"], binding["spec"]["policyName"]
        assert policy in policies
        assert name not in names or name in {policy, f"{policy}-probe"}, "the operator knows them by name"


def test_values_reach_the_operator_and_the_release_hook_alike(render: Callable[..., list[Json]]) -> None:
    manifests = render(
        "prometheus.url=http://prometheus:9090",
        "policies.mutate=false",
        "metrics.port=9000",
        "nodeSelector.disk=ssd",
        "tolerations[0].key=infra,tolerations[0].operator=Exists",
        "env[0].name=HTTPS_PROXY,env[0].value=http://proxy",
        "image.repository=registry.example/gpupool,image.tag=1.2.3",
    )
    for kind in ("Deployment", "Job"):
        workload = only(manifests, kind)
        variables = environment(workload)
        assert variables["GPUPOOL_PROMETHEUS_URL"] == "http://prometheus:9090"
        assert variables["GPUPOOL_POLICIES_MUTATE"] == "false"
        assert variables["GPUPOOL_METRICS_PORT"] == "9000"
        assert variables["HTTPS_PROXY"] == "http://proxy"
        pod = workload["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"disk": "ssd"}
        assert pod["tolerations"] == [{"key": "infra", "operator": "Exists"}]
        assert container(workload)["image"] == "registry.example/gpupool:1.2.3"


def test_a_digest_wins_over_the_tag(render: Callable[..., list[Json]]) -> None:
    digest = "sha256:" + "a" * 64
    manifests = render(f"image.digest={digest}", "image.tag=x")
    assert container(only(manifests, "Deployment"))["image"] == f"gpupool@{digest}"


def test_probes_ask_the_health_port(defaults: list[Json]) -> None:
    operator = container(only(defaults, "Deployment"))
    assert operator["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert operator["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert {p["name"]: p["containerPort"] for p in operator["ports"]} == {"metrics": 8080, "health": 8081}


def test_the_crds_are_the_generated_ones_and_outlive_the_chart(
    defaults: list[Json], render: Callable[..., list[Json]]
) -> None:
    crds = {c["metadata"]["name"]: c for c in of_kind(defaults, "CustomResourceDefinition")}
    assert crds.keys() == {f"{kind.plural}.gpupool.dev" for kind in KINDS}
    for file in (CHECKOUT / "crds").glob("*.yaml"):
        generated = yaml.safe_load(file.read_text())
        crd = crds[generated["metadata"]["name"]]
        assert crd["spec"] == generated["spec"]
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    let_go = of_kind(render("crds.keep=false"), "CustomResourceDefinition")
    assert len(let_go) == len(KINDS)
    assert not any("helm.sh/resource-policy" in c["metadata"].get("annotations", {}) for c in let_go)
    assert of_kind(render("crds.enabled=false"), "CustomResourceDefinition") == []


def test_the_release_hook_runs_before_uninstall_and_can_be_switched_off(
    defaults: list[Json], render: Callable[..., list[Json]]
) -> None:
    job = only(defaults, "Job")
    annotations = job["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-delete"
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert container(job)["command"] == ["gpupool", "release", "--all"]
    assert job["spec"]["backoffLimit"] <= 3
    without = render("release.enabled=false")
    assert of_kind(without, "Job") == []
    assert not [r for r in of_kind(without, "Role") if r["metadata"]["name"].endswith("release")]


def test_monitoring_objects_appear_only_where_their_kinds_are_served(
    defaults: list[Json], render: Callable[..., list[Json]]
) -> None:
    assert of_kind(defaults, "ServiceMonitor") == []
    assert of_kind(defaults, "PrometheusRule") == []
    served = render("metrics.serviceMonitor.labels.team=platform", apis=MONITORING)
    rules = yaml.safe_load((CHART / "files" / "recording-rules.yaml").read_text())
    assert only(served, "PrometheusRule")["spec"]["groups"][:-1] == rules["groups"]  # the last is the alerts'
    monitor = only(served, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["team"] == "platform"
    labels = only(served, "Service")["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert of_kind(render("metrics.serviceMonitor.enabled=false", apis=MONITORING), "ServiceMonitor") == []


def test_the_operator_reaches_and_is_reached_by_its_ports_alone(
    defaults: list[Json], render: Callable[..., list[Json]]
) -> None:
    assert of_kind(defaults, "NetworkPolicy") == []
    for url, port in (
        ("http://prometheus.monitoring:9090/prefix", 9090),
        ("http://prometheus", 80),
        ("https://mimir.example.com/x", 443),
    ):
        policy = only(render("networkPolicy.enabled=true", f"prometheus.url={url}"), "NetworkPolicy")["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert [p["port"] for rule in policy["ingress"] for p in rule["ports"]] == [8080, 8081]
        assert [p["port"] for rule in policy["egress"] for p in rule["ports"]] == [53, 53, 443, 6443, port]
        pods = policy["podSelector"]["matchLabels"]
        for workload in ("Deployment", "Job"):
            labels = only(defaults, workload)["spec"]["template"]["metadata"]["labels"]
            assert pods.items() <= labels.items()


def test_helm_test_runs_the_check_with_the_operators_own_settings(defaults: list[Json]) -> None:
    pod = only(defaults, "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (check,) = pod["spec"]["containers"]
    assert check["command"] == ["gpupool", "check"]
    assert check["env"] == container(only(defaults, "Deployment"))["env"]


def test_unset_values_leave_nothing_behind(render: Callable[..., list[Json]]) -> None:
    bare = render("policies.enabled=false", "probeNamespace.create=false", "serviceAccount.create=false")
    kinds = {m["kind"] for m in bare}
    assert kinds.isdisjoint({"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"})
    assert kinds.isdisjoint({"Namespace", "ServiceAccount"})
    pod = only(bare, "Deployment")["spec"]["template"]["spec"]
    unset = {"nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"}
    assert unset.isdisjoint(pod)
    assert environment(only(bare, "Deployment"))["GPUPOOL_GUARDS"] == ""


def test_without_a_break_glass_group_no_policy_speaks_of_one(render: Callable[..., list[Json]]) -> None:
    for policy in of_kind(render("breakGlassGroup="), "ValidatingAdmissionPolicy"):
        text = yaml.safe_dump(policy)
        assert "break-glass" not in text
        assert "emergency" not in text


def test_the_guards_know_the_operators_account(render: Callable[..., list[Json]]) -> None:
    manifests = render("serviceAccount.name=keeper")
    user = "system:serviceaccount:gpupool-system:keeper"
    for_all = {"gpupool-quota-spelling", "gpupool-quota-epoch", "gpupool-pool-in-use"}
    policies = of_kind(manifests, "ValidatingAdmissionPolicy")
    guards = [p for p in policies if p["metadata"]["name"] not in for_all]
    assert len(guards) == len(policies) - len(for_all)
    for guard in guards:
        conditions = {c["name"]: c["expression"] for c in guard["spec"]["matchConditions"]}
        assert conditions["not-operator"] == f"request.userInfo.username != '{user}'"
    assert only(manifests, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "keeper"


def test_outsiders_may_be_left_alone_also_by_a_bare_off(render: Callable[..., list[Json]]) -> None:
    for given in ("Off", "false"):  # YAML reads a bare Off as false
        variables = environment(only(render(f"policies.outsiders={given}"), "Deployment"))
        assert variables["GPUPOOL_POLICIES_OUTSIDERS"] == "Off"


def test_schedulers_and_writers_of_nodes_reach_their_guards(render: Callable[..., list[Json]]) -> None:
    manifests = render(
        "policies.schedulers={system:kube-scheduler,volcano}", "policies.nodeWriters={karpenter}"
    )
    text = {
        p["metadata"]["name"]: str(p["spec"].get("matchConditions"))
        for p in of_kind(manifests, "ValidatingAdmissionPolicy")
    }
    assert "['system:kube-scheduler', 'volcano']" in text["gpupool-binding-guard"].replace("\\", "")
    assert "['karpenter']" in text["gpupool-node-guard"].replace("\\", "")


def test_every_object_is_labelled(defaults: list[Json]) -> None:
    for manifest in defaults:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "gpupool", manifest["metadata"]["name"]
        assert labels["app.kubernetes.io/managed-by"] == "gpupool", manifest["metadata"]["name"]


def test_older_clusters_are_refused(render: Callable[..., list[Json]]) -> None:
    assert render(kube="1.34.2")
    with pytest.raises(RefusedError, match="incompatible with Kubernetes"):
        render(kube="1.33.9")
