"""Credentials from a pod's files and from kubeconfigs."""

from pathlib import Path

import pytest

from gpupool.errors import SettingsError
from gpupool.kube.auth import TOKEN_MAX_AGE, FileToken, from_kubeconfig, in_cluster, load

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: c, user: u, namespace: home}}
- {name: two, context: {cluster: c, user: plugin}}
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1", tls-server-name: kubernetes, proxy-url: "http://127.0.0.1:2"}}
users:
- {name: u, user: {token: written-there}}
- name: plugin
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: COMMAND, interactiveMode: Never}}
"""
PLUGIN = """#!/bin/sh
echo run >> "$(dirname "$0")/runs"
cat <<END
{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
 "status": {"token": "from-plugin"}}
END
"""


@pytest.fixture
def pod(tmp_path: Path) -> dict[str, str]:
    """A pod's environment, its ServiceAccount files in a folder of the test."""
    for name, text in {"token": "first\n", "ca.crt": "certificates", "namespace": "gpupool-system"}.items():
        (tmp_path / name).write_text(text)
    return {
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "GPUPOOL_SERVICEACCOUNT_DIR": str(tmp_path),
    }


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    plugin = tmp_path / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG.replace("COMMAND", str(plugin)))
    return str(path)


def test_a_pod_finds_its_server_its_token_and_its_namespace(pod: dict[str, str]) -> None:
    found = load(pod)
    assert (found.base_url, found.namespace) == ("https://10.96.0.1:443", "gpupool-system")
    assert found.token is not None
    assert found.token.get() == "first"


def test_an_address_with_colons_is_bracketed(pod: dict[str, str]) -> None:
    assert in_cluster(pod | {"KUBERNETES_SERVICE_HOST": "fd00::1"}).base_url == "https://[fd00::1]:443"


def test_kubeconfig_in_the_environment_wins_over_the_pod(pod: dict[str, str], kubeconfig: str) -> None:
    assert load(pod | {"KUBECONFIG": kubeconfig}).base_url == "https://127.0.0.1:1"


def test_a_token_file_is_read_again_after_a_minute_and_not_before(tmp_path: Path) -> None:
    path, now = tmp_path / "token", [0.0]
    path.write_text("first")
    token = FileToken(path, lambda: now[0])
    assert token.get() == "first"
    path.write_text("second")
    now[0] = TOKEN_MAX_AGE
    assert token.get() == "first"
    now[0] = TOKEN_MAX_AGE + 1
    assert token.get() == "second"


def test_a_refused_token_is_read_again_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    token = FileToken(path)
    assert token.get() == "first"
    path.write_text("second")
    assert token.get(renew=True) == "second"


def test_a_token_file_missing_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    token = FileToken(path)
    assert token.get() == "first"
    path.unlink()
    assert token.get(renew=True) == "first"


def test_missing_files_say_where_was_looked(pod: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(SettingsError, match=str(tmp_path / "token")):
        in_cluster(pod)
    (tmp_path / "ca.crt").unlink()
    with pytest.raises(SettingsError, match=f"no ServiceAccount files in {tmp_path}"):
        in_cluster(pod)


def test_outside_a_cluster_the_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster({})


def test_a_broken_certificate_is_a_settings_error(pod: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="certificates"):
        in_cluster(pod).ssl_context()


def test_a_kubeconfig_gives_token_server_name_proxy_and_namespace(kubeconfig: str) -> None:
    found = from_kubeconfig(kubeconfig)
    assert found.token is not None
    assert found.token.get() == "written-there"
    assert (found.server_name, found.proxy, found.namespace) == ("kubernetes", "http://127.0.0.1:2", "home")


@pytest.mark.parametrize(
    ("server", "no_proxy", "proxy"),
    [
        ("https://kube.example.com", "", "http://proxy:3128"),
        ("https://kube.example.com", "example.com", None),
        ("https://127.0.0.1:6443", "", None),
    ],
)
def test_the_environment_s_proxy_is_used_as_kubectl_would(
    kubeconfig: str, monkeypatch: pytest.MonkeyPatch, server: str, no_proxy: str, proxy: str | None
) -> None:
    path = Path(kubeconfig)
    text = path.read_text().replace(', proxy-url: "http://127.0.0.1:2"', "")
    path.write_text(text.replace("https://127.0.0.1:1", server))
    for name, value in {"https_proxy": "http://proxy:3128", "no_proxy": no_proxy}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    assert from_kubeconfig(kubeconfig).proxy == proxy


def test_an_exec_plugin_runs_once_and_again_when_its_token_was_refused(
    kubeconfig: str, tmp_path: Path
) -> None:
    found = from_kubeconfig(kubeconfig, "two")
    assert found.token is not None
    assert found.token.slow
    assert found.token.get() == "from-plugin"
    assert (tmp_path / "runs").read_text() == "run\n"
    assert found.token.get(renew=True) == "from-plugin"
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_a_missing_kubeconfig_or_context_is_named(kubeconfig: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="absent"):
        from_kubeconfig(str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="three"):
        from_kubeconfig(kubeconfig, "three")


def test_the_same_credentials_serve_kopf(pod: dict[str, str], tmp_path: Path) -> None:
    assert in_cluster(pod).connection_fields() == {
        "server": "https://10.96.0.1:443",
        "ca_path": str(tmp_path / "ca.crt"),
        "token": "first",
        "default_namespace": "gpupool-system",
    }
