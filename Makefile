# The one door of gpupool. `make help` lists what it opens.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := deploy/requirements
READY := $(VENV)/.ready
CLUSTER ?= local
PLANE := $(BIN)/python -m localplane

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n\033[1m%s\033[0m\n", substr($$0, 4)} \
	  /^[a-z-]+:.*## / {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Environment

$(READY): pyproject.toml $(LOCKS)/bootstrap.txt $(LOCKS)/dev.txt
	@echo "gpupool: installing the locked Python packages into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(LOCKS)/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)/dev.txt $(LOCKS)/bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)/deploy/local" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/localplane.pth"
	@touch $@

.PHONY: venv
venv: $(READY) ## Install the locked Python packages into .venv

.PHONY: lock
lock: $(READY) ## Renew the lock files from pyproject.toml
	@cd $(LOCKS) && uv pip compile bootstrap.in --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o bootstrap.txt
	@cd $(LOCKS) && uv pip compile ../../pyproject.toml --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header -o runtime.txt
	@cd $(LOCKS) && uv pip compile ../../pyproject.toml --group ../../pyproject.toml:dev --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header -c runtime.txt -o dev.txt

## The local control plane

.PHONY: tools
tools: $(READY) ## Compile the plane's programs (once, about 11 minutes; cached outside the tree)
	@$(PLANE) tools

.PHONY: up
up: $(READY) ## Start (or repair) the cluster: control plane, Prometheus, fake GPU nodes, operator
	@$(PLANE) up --cluster $(CLUSTER)

.PHONY: down
down: $(READY) ## Stop everything `up` started and leave nothing
	@$(PLANE) down

.PHONY: status
status: $(READY) ## Say what runs, where, and how to talk to it
	@$(PLANE) status

.PHONY: stop
stop: $(READY) ## Hold a part down: PART=operator|prometheus|exporter|kwok|etcd|apiserver|controller-manager|scheduler [SIGNAL=KILL|STOP]
	@$(PLANE) stop $(PART) $(if $(SIGNAL),--signal $(SIGNAL))

.PHONY: start
start: $(READY) ## Bring a held part back: PART=...
	@$(PLANE) start $(PART)

.PHONY: nodes
nodes: $(READY) ## Fake GPU nodes: ADD=2 GPUS=8 MODEL=... LABELS=k=v,k=v | CORDON=name | REMOVE=name
	@$(PLANE) nodes $(if $(ADD),--add $(ADD)) $(if $(GPUS),--gpus $(GPUS)) $(if $(MODEL),--model "$(MODEL)") \
	  $(if $(LABELS),--labels "$(LABELS)") $(if $(CORDON),--cordon $(CORDON)) $(if $(REMOVE),--remove $(REMOVE))

.PHONY: demo
demo: $(READY) ## A governed cluster from nothing, told as a story in two acts; two pictures at the end [KEEP=1 leaves it running]
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

.PHONY: audit
audit: $(READY) ## Try the threat table by dry run, on `make up` or KUBECONFIG=file: [POOL=name] [OUTPUT=json]
	@export KUBECONFIG="$${KUBECONFIG:-$(CURDIR)/.local/kubeconfig}"; \
	  test -e "$${KUBECONFIG%%:*}" || { echo "make audit KUBECONFIG=<file>, or \`make up\` first" >&2; exit 1; }; \
	  $(BIN)/gpupool audit $(if $(POOL),--pool $(POOL)) $(if $(OUTPUT),--output $(OUTPUT))

.PHONY: replay
replay: $(READY) ## Play a recorded trace on a cluster of its own, measured beside its truth: TRACE=file.csv.gz [SPEED=60] [HOURS=n]
	@test -n "$(TRACE)" || { echo "make replay TRACE=<path of a *_pod_gpu_duty.csv.gz> [SPEED=60] [HOURS=n]" >&2; exit 2; }
	@$(BIN)/python -m replay "$(TRACE)" $(if $(SPEED),--speed $(SPEED)) $(if $(HOURS),--hours $(HOURS))

## Checks and tests

.PHONY: lint
lint: $(READY) ## Style, types and layers
	@ruff format --check operator deploy tests
	@ruff check operator deploy tests
	@mypy
	@PYTHONPATH=operator lint-imports --no-cache

.PHONY: format
format: $(READY) ## Rewrite the code in house format
	@ruff format operator deploy tests
	@ruff check --fix operator deploy tests

.PHONY: generate
generate: $(READY) ## Write the CRDs, the pages of fields and metrics, and deploy/install.yaml from their sources
	@$(BIN)/python -m gpupool.api.generate
	@$(BIN)/python -m gpupool.telemetry.document
	@$(BIN)/python deploy/render.py

.PHONY: check-generated
check-generated: $(READY) ## Fail if a generated file is not what its source says
	@$(BIN)/python -m gpupool.api.generate --check
	@$(BIN)/python -m gpupool.telemetry.document --check
	@$(BIN)/python deploy/render.py --check

.PHONY: unit
unit: $(READY) ## The pure core, in seconds
	@pytest -q tests/unit --numprocesses=auto --cov --cov-report=term

.PHONY: test
test: lint ## Everything: lint, unit, integration on the real control plane, chart
	@$(BIN)/python tests/run.py

.PHONY: test-faults
test-faults: $(READY) ## The laws over 2,000 random histories each; 100 kills, outages and storms under an observer (about two hours on two calm cores) [PARTS="laws faults endpoints rights manifests gitops"]
	@$(BIN)/python tests/run.py --full $(PARTS)

.PHONY: bench
bench: $(READY) ## Figures beside baselines, in one table: [PARTS="plan pods steady scale large rate kueue endpoints soak"] [SIZE=0.1] [MINUTES=20]
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(PARTS) $(if $(SIZE),--size $(SIZE)) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: bench-slo
bench-slo: $(READY) ## Replicas for real load, ours beside HPA and oracle: DATA=folder [FAMILY=servegen_m-large] [JSON=file] [FRONTIER=1]
	@test -n "$(DATA)" || { echo "make bench-slo DATA=<folder of <family>_rates.csv.gz and <family>_tokens_6h.csv.gz>" >&2; exit 2; }
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.slo "$(DATA)" $(if $(FAMILY),--family "$(FAMILY)") $(if $(JSON),--json "$(JSON)") \
	  $(if $(FRONTIER),--frontier)

.PHONY: bench-loop
bench-loop: $(READY) ## One of these hours in a closed loop on the real plane, beside the simulator: DATA=folder [FAMILY=...] [TENANT=61] [HOUR=99] [POLICY=gpupool|hpa-running-16] [SPEED=10] [JSON=file]
	@test -n "$(DATA)" || { echo "make bench-loop DATA=<folder of <family>_rates.csv.gz and <family>_tokens_6h.csv.gz>" >&2; exit 2; }
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.loop "$(DATA)" $(if $(FAMILY),--family "$(FAMILY)") $(if $(TENANT),--tenant "$(TENANT)") \
	  $(if $(HOUR),--hour $(HOUR)) $(if $(POLICY),--policy "$(POLICY)") $(if $(SPEED),--speed $(SPEED)) $(if $(JSON),--json "$(JSON)")
