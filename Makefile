# Everything here needs only make and Python 3.11 to 3.13; the rest is installed into .venv and .tools,
# pinned with hashes.
.DEFAULT_GOAL := help
.PHONY: help run test lint format docs e2e e2e-charts e2e-addons e2e-runbook faults faults-deploy bench bench-http alerts dashboard lock audit actions sbom base clean

# The versions that the pinned packages are built for; of these the image's first. A shim of pyenv refuses every version
# but the chosen one, so its 3.13 is also looked for where it lies.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3.13 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13.*/bin/python3.13 python3.12 python3.11 python3; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && command -v "$$p" && break; done)
# PYTHON=python3.11 on the command line or in the environment, and nothing where it was found by the line above.
ASKED := $(if $(filter file,$(origin PYTHON)),,$(PYTHON))
# A .venv dies with its Python, and when its folder is moved; and one of another version is not the one asked for. What
# is in it is made anew then.
MINOR := import sys; print(*sys.version_info[:2])
ifneq ($(wildcard .venv/python),)
ifneq ($(shell .venv/bin/python -c '' 2>/dev/null && test -x "$$(sed -n '1s/^\#!//p' .venv/bin/pip)" && \
	{ test -z "$(ASKED)" || test "$$($(ASKED) -c '$(MINOR)' 2>/dev/null)" = "$$(.venv/bin/python -c '$(MINOR)')"; } && echo alive),alive)
$(shell rm -f .venv/python)
endif
endif
# The service and its peers run on one version.
ifneq ($(wildcard .venv-bench/done),)
ifneq ($(shell .venv-bench/bin/python -c '$(MINOR)' 2>/dev/null),$(shell .venv/bin/python -c '$(MINOR)' 2>/dev/null))
$(shell rm -f .venv-bench/done)
endif
endif
# A link in .tools dies with the program of the machine that it leads to.
ifneq ($(shell find -L .tools -type l 2>/dev/null),)
$(shell rm -f .tools/done)
endif
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(CURDIR)/.tools:$(PATH)
INSTALL := dev/install

help: ## List the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: .venv/run ## Serve on http://localhost:8000, with an embedded Valkey unless REDIS_HOST or REDIS_URL is set
	@exec $(BIN)/python -m dev.run

test: .venv/test .tools/done lint ## All tests that need no cluster (PYTHON=python3.11: with that one)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/test .tools/done ## Formatting, linters, types
	dev/lint

format: .venv/test ## Format Python and shell
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	dev/lint --shell-files | xargs $(BIN)/shfmt -w

docs: .venv/test ## Make what is made: docs/values.md, the schemas' descriptions, docs/metrics.md, docs/alerts.md's table, the dashboard
	$(BIN)/python -m dev.values_docs
	$(BIN)/python -m dev.metrics_docs
	$(BIN)/python -m dev.alerts_docs
	$(BIN)/python -m dev.dashboard

e2e: .venv/test .tools/done ## Deploy to the cluster that KUBECONFIG names, and test it there
	$(BIN)/python -m pytest tests/e2e --ignore=tests/e2e/charts --ignore=tests/e2e/addons --ignore=tests/e2e/runbook -v -s

e2e-charts: .venv/test .tools/done ## The charts on that cluster: network, drain, autoscaler, Redis, quotas (15 minutes)
	$(BIN)/python -m pytest tests/e2e/charts -v -s

e2e-addons: .venv/test .tools/done ## On that cluster, what needs a controller of its own; skipped where it is not installed
	$(BIN)/python -m pytest tests/e2e/addons -v -s

e2e-runbook: .venv/test .tools/done ## On that cluster, every command of docs/runbook.md, each held to what the page says it shows
	$(BIN)/python -m pytest tests/e2e/runbook -v -s

alerts: .venv/test .tools/done ## The alerts on series and rung by real faults; prometheus and promtool must be on PATH (25 minutes)
	$(BIN)/python -m pytest tests/alerts -v
	KEEP_TABLE=1 $(BIN)/python -m pytest tests/faults/alerts -n 4 -v

dashboard: .venv/test .tools/done .venv-dashboard/done ## Draw docs/dashboard.svg from a run of the service and Prometheus; it must be on PATH (14 minutes)
	$(BIN)/python -m dev.dashboard_run .data/dashboard.json
	.venv-dashboard/bin/python -m dev.dashboard_picture .data/dashboard.json docs/dashboard.svg

faults: .venv/test ## Every fault that the service must survive, with controls, on Valkey and on each of REDIS_SERVERS (5 minutes, 2 more for each)
	KEEP_TABLE=1 $(BIN)/python -m pytest tests/faults/service -v

bench: .venv/test ## Measure the counter (commands a visit, overload, memory, what one Redis executes), and what telemetry costs (31 minutes)
	$(BIN)/python -m bench.counter commands
	$(BIN)/python -m bench.counter overload
	$(BIN)/python -m bench.counter memory
	$(BIN)/python -m bench.redis_limit
	$(BIN)/python -m bench.telemetry

bench-http: .venv/test .venv-bench/done ## Measure this service beside its peers with equal duties: docs/speed.md (10 minutes; SHORT=1: two)
	$(BIN)/python -m bench.http $(if $(SHORT),--short)

faults-deploy: .venv/test .tools/done ## Every fault that deploy.sh must survive, on the cluster that KUBECONFIG names, one after another (two hours)
	KEEP_TABLE=1 $(BIN)/python -m pytest tests/faults/deploy -v

lock: .venv/lock ## Compile the pinned requirements from pyproject.toml (UPGRADE=1: to the newest versions)
	dev/lock $(if $(UPGRADE),--upgrade)

audit: .venv/audit ## Look the pinned packages up among the known vulnerabilities; what cannot be looked up fails
	dev/audit

actions: .venv/test ## Ask GitHub whether the pinned actions are what they say (GH_TOKEN)
	dev/ci/actions

IMAGE ?= $(error IMAGE is not set: make sbom IMAGE=registry.example.com/visits:1.0.0)
sbom: .venv/sbom ## Write what is in the image IMAGE to sbom.cdx.json (CycloneDX)
	@$(BIN)/python -m dev.sbom "$(IMAGE)" sbom.cdx.json

base: ## Pin the base image that the pipeline builds on to what its tag names today
	dev/ci/base

clean: ## Remove what was installed; the embedded Valkey's data in .data stays
	rm -rf .venv .venv-bench .venv-dashboard .tools .mypy_cache .ruff_cache .pytest_cache

.venv/python:
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' 2>/dev/null || { \
		has=$$($(or $(PYTHON),python3) --version 2>/dev/null) || has="not found"; \
		echo "make: needs Python 3.11, 3.12 or 3.13; $(or $(PYTHON),python3) is $$has" >&2; exit 1; }
	@echo "make: installing into .venv with $(PYTHON)" >&2
	@said=$$($(PYTHON) -m venv --clear .venv 2>&1) || { echo "make: $(PYTHON) cannot make .venv: $$(echo "$$said" | grep . | head -n 1); install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@touch $@

.venv/run: .venv/python requirements.txt dev/requirements-run.txt
	@$(INSTALL) requirements.txt dev/requirements-run.txt
	@touch $@

.venv/test: .venv/run dev/requirements-test.txt requirements-workers.txt requirements-tracing.txt
	@$(INSTALL) dev/requirements-test.txt requirements-workers.txt requirements-tracing.txt
	@touch $@

.venv/sbom: .venv/python dev/requirements-sbom.txt
	@$(INSTALL) dev/requirements-sbom.txt
	@touch $@

.venv/lock: .venv/python dev/requirements-lock.txt
	@$(INSTALL) dev/requirements-lock.txt
	@touch $@

.venv/audit: .venv/python dev/requirements-audit.txt
	@$(INSTALL) dev/requirements-audit.txt
	@touch $@

# The peers of the service in a place of their own: what they need must not decide what the service gets.
.venv-bench/done: bench/requirements.txt | .venv/python
	@$(BIN)/python -m venv --clear .venv-bench
	@VENV=.venv-bench $(INSTALL) bench/requirements.txt
	@touch $@

# What draws needs nothing of the service, and the service nothing of it.
.venv-dashboard/done: dev/requirements-dashboard.txt | .venv/python
	@$(BIN)/python -m venv --clear .venv-dashboard
	@VENV=.venv-dashboard $(INSTALL) dev/requirements-dashboard.txt
	@touch $@

.tools/done: dev/requirements-tools.txt dev/tools.py | .venv/python
	@$(BIN)/python -m dev.tools
	@touch $@
