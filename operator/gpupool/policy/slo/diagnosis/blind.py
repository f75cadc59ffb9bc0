"""What to switch on, where a signal that decides between causes is not exported."""

from __future__ import annotations

from gpupool.policy.slo.diagnosis.situation import Situation


def blind(it: Situation) -> tuple[str, ...]:
    """What is missing, each with where to switch it on."""
    signals = it.signals
    if not signals.pods:
        return ()
    missing = (
        (
            it.active,
            "GPU activity: dcgm-exporter with its DCGM_FI_PROF_ counters and DCGM_EXPORTER_KUBERNETES=true",
        ),
        (
            next((p.gpu.slowed for p in signals.pods if p.gpu.slowed is not None), None),
            "why clocks are low: DCGM_EXP_CLOCK_EVENTS_COUNT in dcgm-exporter's counters",
        ),
        (
            signals.most(lambda p: p.host.cpu),
            "CPU, disk and network of the pods: scrape the kubelet's /metrics/cadvisor",
        ),
        (
            signals.most(lambda p: p.host.io_pressure),
            "pressure (PSI): Kubernetes 1.34 and a kernel that has it",
        ),
        (it.kv, "use of the KV cache: this engine does not tell it"),
        (
            signals.most(lambda p: p.engine.deferred),
            "why requests wait: vllm:num_requests_waiting_by_reason of recent vLLM",
        ),
    )
    return tuple(text for value, text in missing if value is None)
