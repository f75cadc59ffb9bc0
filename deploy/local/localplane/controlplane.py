"""Command lines of etcd and the Kubernetes programs (flags: verified with 1.36)."""

from pathlib import Path
from typing import Final

import yaml

from localplane.paths import Layout
from localplane.state import State
from localplane.toolchain import Toolchain

SERVICE_RANGE: Final = "10.96.0.0/16"
CLIENT_QPS: Final = 400
CLIENT_BURST: Final = 800


def server_url(state: State) -> str:
    """URL of the local API server."""
    return f"https://127.0.0.1:{state.ports['apiserver']}"


def etcd_command(layout: Layout, state: State, tools: Toolchain) -> list[str]:
    """Etcd without fsync: a test cluster may lose its data when the machine dies."""
    client = f"http://127.0.0.1:{state.ports['etcd']}"
    peer = f"http://127.0.0.1:{state.ports['etcd-peer']}"
    return [
        str(tools["etcd"]),
        f"--data-dir={layout.private / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--quota-backend-bytes=4294967296",
        "--log-level=warn",
    ]


def apiserver_command(layout: Layout, state: State, tools: Toolchain) -> list[str]:
    """The API server, with aggregation, RBAC and the default admission chain."""
    certs = layout.private / "certs"
    return [
        str(tools["kube-apiserver"]),
        f"--etcd-servers=http://127.0.0.1:{state.ports['etcd']}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={state.ports['apiserver']}",
        f"--cert-dir={certs}",
        f"--tls-cert-file={certs / 'server.crt'}",
        f"--tls-private-key-file={certs / 'server.key'}",
        f"--client-ca-file={certs / 'ca.crt'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certs / 'sa.pub'}",
        f"--service-account-signing-key-file={certs / 'sa.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=none",
        "--enable-admission-plugins=NodeRestriction",
        f"--requestheader-client-ca-file={certs / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certs / 'front-proxy.crt'}",
        f"--proxy-client-key-file={certs / 'front-proxy.key'}",
        # Nobody makes Service addresses work here: what is served behind a Service is found by its endpoints.
        "--enable-aggregator-routing=true",
        "--shutdown-delay-duration=0s",
        *state.options.apiserver_args,
    ]


def controller_manager_command(layout: Layout, state: State, tools: Toolchain) -> list[str]:
    """All controllers but the one that hands out pod networks."""
    certs = layout.private / "certs"
    return [
        str(tools["kube-controller-manager"]),
        *_identity_flags(layout.private / "controller-manager.kubeconfig"),
        f"--secure-port={state.ports['controller-manager']}",
        f"--service-account-private-key-file={certs / 'sa.key'}",
        f"--root-ca-file={certs / 'ca.crt'}",
        "--use-service-account-credentials=true",
        "--controllers=*,-nodeipam",
        f"--kube-api-qps={CLIENT_QPS // 2}",  # the default of 20 makes 5,000 taint removals take minutes
        f"--kube-api-burst={CLIENT_QPS}",
        *state.options.controller_manager_args,
    ]


def scheduler_command(layout: Layout, state: State, tools: Toolchain) -> list[str]:
    """The default scheduler; its client's limits come from the file of `write_scheduler_config`."""
    config = layout.private / "scheduler.yaml"
    kubeconfig = layout.private / "scheduler.kubeconfig"
    write_scheduler_config(config, kubeconfig)
    return [
        str(tools["kube-scheduler"]),
        f"--config={config}",
        *(
            flag
            for flag in _identity_flags(kubeconfig)
            if not flag.startswith(("--kubeconfig", "--leader-elect"))
        ),
        f"--secure-port={state.ports['scheduler']}",
    ]


def write_scheduler_config(path: Path, kubeconfig: Path) -> None:
    """A scheduler configuration that differs from the default in speed only."""
    content = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": CLIENT_QPS, "burst": CLIENT_BURST},
        "leaderElection": {"leaderElect": False},
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def _identity_flags(kubeconfig: Path) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]
