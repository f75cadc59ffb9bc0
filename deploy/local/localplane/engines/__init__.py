"""Inference engines without GPUs: pods that say they run one serve its metrics, out of a simulation.

The requests of a workload are spread over its Ready pods and served by `gpupool.simulator.replica`: latency
follows from replicas, batch limits, KV cache, cache hits, lengths and start-up time. The engines move on when
somebody looks at them. Their time is that of the traces (POST /control: `speed`, `epoch`): at speed 10 their
counters grow ten times as fast; gauges, and the counters of the nodes, are the world's.

Annotations of the pod template, all with the prefix `fake.gpupool.dev/`:

| annotation | meaning |
|---|---|
| `engine` | `vllm`, `vllm-0.8` (names and bounds of 2025), `sglang`, `tgi`, `triton`, `nim`; required |
| `load` | requests/s of the whole workload: `"12.5"`, or `"trace:<set>/<name>"` (a trace of requests/s) |
| `fault` | a cause by the diagnosis' name; its numbers, and the load it needs, are in `causes.py` |
| `fault-after` | the fault begins so long after the pod was Ready, in engine time: `"90s"` |
| `model` | a row of `gpupool.simulator.speeds.SPEEDS`; default `llama-70b-fp8/4xH100` |
| `prompt`, `output` | mean tokens, default 1000 and 250 |
| `spread` | sigma of the lognormal of both, default 0.5 |
| `cache-hit` | share of the prompt tokens that the prefix cache knows, default 0 |
| `max-seqs`, `kv-tokens` | sequences that run at once, tokens that fit; default: the model's |
| `batched-tokens` | tokens of a chunk of prefill, default 8192 |
| `data` | `silent`, `nan`, `frozen` (values and time stand still), `no-histograms`, `old-buckets` (vllm) |
| `expose` | what is off by default: `first-response-histogram` (triton), `sm-active`, `clock-events` |
| `job` | label `job` of the pod's target; default `<namespace>/<workload>`, as of a PodMonitor |
| `start-after` | Ready so long after it was bound, in the world's time; default 5s, ColdStart 120s |

The load is that of the newest pod. A value that means nothing is logged with its fix; the pod has no page.
An explicit `gpu-utilization` wins over the simulation for the pod's GPU series.

`POST /control {"engines": {"team/chat": {"load": 20, "data": "silent"}}}` lays annotations over those of a
workload or a pod (names without the prefix); each call replaces all of them.

Pages of the exporter: `/engines/targets` (for http_sd_configs), `/engines/<namespace>/<pod>/metrics`,
`/engines/cadvisor/metrics`, `/engines/gateway/metrics`, `/engines/state`. The gateway's counter
`fake_gateway_requests_total{namespace,workload,code}` is also there for workloads without pods.
"""
