# Everything a person or a CI job does with this checkout. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export MAKE

# -- what can be set --------------------------------------------------------------------------------------------------
# CONTEXT     kubectl context of your own cluster for `make demo`; empty: the lab
# RELEASE     release name of the demo
# NAMESPACE   host namespace of the demo
# VALUES      values file for the demo's installation
# NODES       nodes of a lab that is brought up
# IMAGE       reference of the syncer's image
# REGISTRY    where `make publish` pushes image and chart
# MINUTES     how long `make soak` takes
# PYTEST_ARGS more arguments for pytest, such as PYTEST_ARGS="-k names"
# ARGS        arguments of `make conformance`, such as ARGS="default --again", and of `make bench`, such as ARGS="--quick"
CONTEXT ?=
RELEASE ?= demo
NAMESPACE ?= sublet-demo
VALUES ?=
NODES ?= 2
MINUTES ?= 30
PYTEST_ARGS ?=
ARGS ?=
VERSION := $(shell sed -n 's/^appVersion: *"\{0,1\}\([^"]*\)"\{0,1\}$$/\1/p' chart/Chart.yaml)
REGISTRY ?= ghcr.io/sublet
IMAGE ?= $(REGISTRY)/syncer:$(VERSION)
TAG ?= v$(VERSION)

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; exit; }; done; true)
ifeq ($(PYTHON),)
$(error Python 3.11 or newer is needed and none is on PATH: install it, or say where it is with make PYTHON=/path/to/python3)
endif

VENV = $(shell $(PYTHON) -m tools.venv --path)
IN = $(VENV)/bin
PYTEST = $(IN)/python -m pytest $(PYTEST_ARGS)
LAB = $(PYTHON) -m lab
# helm of PATH when HELM=helm is given, else the pinned one, built when it is not there.
HELM ?= $$($(LAB) tools helm | cut -f2)
DEMO = $(PYTHON) -m demo --release $(RELEASE) --namespace $(NAMESPACE) $(if $(CONTEXT),--context $(CONTEXT))

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; sed -n 's/^# \([A-Z_]* .*\)/  \1/p' $(MAKEFILE_LIST)

# -- the demo ---------------------------------------------------------------------------------------------------------
.PHONY: demo demo-connect demo-down
demo: ## install a virtual cluster, run real workloads in it, and show that they work (root, or CONTEXT=)
	@$(DEMO) up --nodes $(NODES) $(if $(VALUES),--values $(VALUES))

demo-connect: ## keep a port on loopback open to the demo's virtual cluster, until interrupted
	@$(DEMO) connect

demo-down: ## uninstall it, show that nothing is left, and take down the lab if the demo brought it up
	@$(DEMO) down

# -- checks and tests -------------------------------------------------------------------------------------------------
.PHONY: test lint test-unit test-chart test-integration test-e2e test-long test-renewal test-conformance lab venv
.PHONY: soak conformance conformance-publish bench
test: ## all of the following; needs root, takes the lab down again if it brought it up
	@$(PYTHON) -m tools.stages venv lint test-unit test-chart test-integration lab test-e2e test-conformance

venv: ## the Python environment of checks and tests, in the cache
	@$(PYTHON) -m tools.venv $(if $(filter venv,$(MAKECMDGOALS)),,>/dev/null)

lint: venv ## ruff, mypy, import-linter, yamllint, yamale, helm lint, generated files
	$(IN)/ruff check
	$(IN)/ruff format --check
	$(IN)/mypy
	$(IN)/lint-imports
	$(IN)/yamllint --strict --config-file lintconf.yaml chart/Chart.yaml chart/values.yaml chart/files chart/ci \
		ct.yaml chart_schema.yaml demo/workloads demo/values examples .github
	$(IN)/yamale --schema chart_schema.yaml chart/Chart.yaml
	@helm=$(HELM); for values in chart/ci/*-values.yaml; do \
		echo "helm lint --strict --values $$values"; "$$helm" lint --strict --quiet --values "$$values" chart; done
	@$(MAKE) docs-verify lock-verify

test-unit: venv ## pure functions and servers that are functions; seconds
	$(PYTEST) tests/unit

test-chart: venv ## what the chart renders and what it refuses
	@$(LAB) tools helm helm3 kubectl >/dev/null
	$(PYTEST) tests/chart

test-integration: venv ## the syncer between two real API servers
	@$(LAB) tools etcd kine kube-apiserver kube-controller-manager kube-scheduler kubectl >/dev/null
	$(PYTEST) tests/integration

test-e2e: venv ## the chart on the lab: real nodes, real pods; needs root
	@$(LAB) tools kwok >/dev/null
	$(PYTEST) tests/e2e -m "not long and not renewal"

test-long: venv ## those tests on the lab that take minutes each, which `make test` leaves out; needs root
	$(PYTEST) tests/e2e -m long

test-renewal: venv ## certificates of a quarter of an hour renewed under tenants at work; forty minutes, needs root
	$(PYTEST) -s tests/e2e -m renewal

soak: venv ## half an hour of coming and going pods while the control plane is killed again and again; needs root
	$(IN)/python -m tests.soak --minutes $(MINUTES)

test-conformance: venv ## some of Kubernetes' own conformance tests in a virtual cluster with default values; needs root
	@$(IN)/python -m tests.conformance subset

conformance: venv ## all of them, on the lab itself and in virtual clusters, going on where it stopped; needs root and hours
	@$(IN)/python -m tests.conformance run $(ARGS)

conformance-publish: venv ## take the results of this machine over into the repository
	@$(IN)/python -m tests.conformance publish

bench: venv ## figures beside those of the bare host, on the lab; ARGS="--quick" for a small run; needs root
	$(IN)/python -m tests.bench $(ARGS)

lab: ## bring up a host cluster on this machine with all images; needs root
	@$(LAB) status >/dev/null 2>&1 || $(LAB) up --nodes $(NODES)
	@$(LAB) images >/dev/null

# -- what is made -----------------------------------------------------------------------------------------------------
.PHONY: image package kind publish
image: ## the syncer's image, by docker or podman if there is one, else by the lab
	@for engine in docker podman; do if "$$engine" info >/dev/null 2>&1; then set -x; exec "$$engine" build --tag $(IMAGE) .; fi; done; \
		echo "no container engine answers: building with the lab"; $(LAB) images ghcr.io/sublet/syncer:$(VERSION)

package: ## the chart as dist/sublet-VERSION.tgz, byte for byte the same for the same commit
	@mkdir -p dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct -- chart) $(HELM) package chart --destination dist
	@sha256sum dist/*.tgz

kind: ## a kind cluster with the image, for make demo CONTEXT=kind-sublet; needs kind and docker
	kind get clusters | grep -qx sublet || kind create cluster --name sublet --wait 180s
	kind load docker-image $(IMAGE) --name sublet

publish: tagged image package ## push image and chart to REGISTRY; needs docker and a login
	docker push $(IMAGE)
	$(HELM) push dist/sublet-$(VERSION).tgz oci://$(REGISTRY)/charts

.PHONY: tagged
tagged:
	@test "$(TAG)" = "v$(VERSION)" || { echo "error: tag $(TAG) is not v$(VERSION), the version in chart/Chart.yaml"; exit 1; }

# -- generated files, each with its check -----------------------------------------------------------------------------
.PHONY: docs docs-verify lock lock-verify format
docs: venv ## write the generated pages
	@$(IN)/python -m docs

docs-verify: venv ## fail when a generated page is out of date
	$(IN)/python -m docs --verify

lock: venv ## pin the newest packages that pyproject.toml allows; needs uv
	@$(IN)/python -m tools.lock

lock-verify: venv ## fail when the pins do not satisfy pyproject.toml
	$(IN)/python -m tools.lock --verify

format: venv ## let ruff format and mend what it can
	@$(IN)/ruff check --fix --quiet
	@$(IN)/ruff format

.PHONY: clean
clean: ## remove what the targets above wrote into the checkout; the cache stays
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
