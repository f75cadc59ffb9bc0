module gpupool.dev/tools/crds

go 1.26.0

// Nothing of them is compiled: their CRDs are read out of the modules.
require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	k8s.io/autoscaler/vertical-pod-autoscaler v1.8.1
)
