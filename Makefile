# Every target makes the machine ready first (tools/setup.sh: quick where nothing is missing). `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON := .venv/bin/python
KERNEL ?= 6.12
CMD ?= bash
LOGS := .cache/test
NO_BPF := landlock,lockdown,yama,apparmor
SLOWEST := --durations=12
LOADED_OFTEN := tests/kernel/agent tests/kernel/run
LOADED_ONCE := tests/kernel/enforcement $(wildcard tests/kernel/test_*.py)
PROBES = $(wildcard probes/*.c probes/*/*.h probes/*/*.c)
# The generators are tools/gen_NAME.py: `make gen-NAME` runs one, `make verify-NAME` compares.
GENERATED = $(patsubst tools/gen_%.py,%,$(wildcard tools/gen_*.py))

export CMD

# $(call logged,NAME,COMMAND): runs COMMAND visibly and keeps what it says for the summary of `make test`. Of several at
# once (LANES) each line says whose it is.
logged = mkdir -p $(LOGS); $(2) 2>&1 | tee $(LOGS)/$(1).log$(if $(LANES), | sed -u 's/^/$(1): /')

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+%?:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## installs what building and testing need (Debian 12, as root)
	@tools/setup.sh

.PHONY: setup-cluster
setup-cluster:
	@tools/setup.sh cluster

.PHONY: demo
demo: setup ## the main job, visibly: four violations denied in the kernel and reported
	@$(PYTHON) -m tools.demo

# After what takes seconds, the suites in virtual machines, two at a time: each keeps one processor busy. The cluster's
# images are built beside the first.
SUITES = test-cluster enforcement-6.1 enforcement-6.12 programs-6.12 without-lsm-6.12

.PHONY: test
test: setup ## every test that continuous integration runs
	@rm -rf $(LOGS)
	@$(MAKE) --no-print-directory lint verify test-unit
	@$(MAKE) --no-print-directory --jobs=2 LANES=1 $(SUITES)
	@cd $(LOGS); for log in *.log; do echo "$${log%.log}:"; grep -aE ' in [0-9.]+s' "$$log" | tail -n 1; done

.PHONY: test-unit
test-unit: setup ## the tests that need no kernel, in seconds
	@$(call logged,unit,$(PYTHON) -m pytest tests/unit)

.PHONY: test-kernel
test-kernel: test-enforcement test-programs ## the tests in a virtual machine: KERNEL=6.1|6.12|newest

.PHONY: test-enforcement
test-enforcement: enforcement-$(KERNEL) ## of these, those for which the programs are loaded once

.PHONY: test-programs
test-programs: programs-$(KERNEL) ## and those that load them again and again: the agent, bulkhead run

# A part that tells, in three minutes: what differs most from LSM hooks is in what files and sockets remember, and in moves.
ON_FUNCTIONS := $(addprefix tests/kernel/enforcement/test_,exec.py \
	memory.py::test_two_sets_remember_side_by_side files.py::test_the_verdict_is_remembered_and_stays_right \
	files.py::test_a_file_cannot_move_to_where_it_is_judged_differently network.py::test_kill_ends_the_process \
	network.py::test_an_open_connection_is_cut_when_the_policy_forbids_it)
.PHONY: test-without-lsm
test-without-lsm: without-lsm-$(KERNEL) ## a part of the tests in a virtual machine booted without bpf in lsm=: programs on functions

.PHONY: test-functions
test-functions: setup ## all tests of enforcement there; not part of `make test`
	@$(call logged,functions-$(KERNEL),$(PYTHON) -m tools.vm test --kernel $(KERNEL) --lsm $(NO_BPF) \
		tests/kernel/enforcement tests/kernel/test_doctor.py tests/kernel_without_lsm)

enforcement-%: setup
	@$(call logged,$@,$(PYTHON) -m tools.vm test --kernel $* $(SLOWEST) $(LOADED_ONCE))

# One processor: where programs are attached again and again the emulator gets it wrong with two (docs/bench-vm.md).
programs-%: setup
	@$(call logged,$@,$(PYTHON) -m tools.vm test --kernel $* --cpus 1 $(SLOWEST) $(LOADED_OFTEN))

without-lsm-%: setup
	@$(call logged,$@,$(PYTHON) -m tools.vm test --kernel $* --lsm $(NO_BPF) \
		tests/kernel/test_doctor.py tests/kernel_without_lsm $(ON_FUNCTIONS))

.PHONY: test-cluster
test-cluster: image ## the tests against a real API server, kubelet and node
	@$(PYTHON) -m tools.cluster build
	@$(call logged,cluster,$(PYTHON) -m pytest $(SLOWEST) tests/cluster)

# Where kernels differ most: what a container is under when it starts, is replaced, or changes its labels. One cluster at
# a time: the address and the ports of the control plane are the machine's.
ON_ANOTHER_NODE := $(addprefix tests/cluster/enforcement/test_,lifecycle.py selection.py start.py)
node-%: image ## of these, the life of an agent, selection and starts, on a node with that kernel
	@$(PYTHON) -m tools.cluster build
	@export BULKHEAD_NODE_KERNEL=$*; $(call logged,$@,$(PYTHON) -m pytest $(SLOWEST) $(ON_ANOTHER_NODE))

.PHONY: cluster
cluster: image ## starts a cluster that stays up, and says how to use it
	@$(PYTHON) -m tools.cluster up

.PHONY: cluster-down
cluster-down: setup ## ends it
	@$(PYTHON) -m tools.cluster down

.PHONY: image
image: setup-cluster ## builds the images of agent and collector
	@$(PYTHON) -m tools.image all

.PHONY: chart
chart: setup-cluster ## checks the chart as Helm does
	@$(PYTHON) -m tools.cluster build
	@.cache/cluster/bin/helm lint --strict deploy/helm/bulkhead

.PHONY: vm
vm: setup ## runs CMD='...' in a virtual machine with this checkout: KERNEL=6.1|6.12|newest
	@$(PYTHON) -m tools.vm run --kernel $(KERNEL) -- bash -c "$$CMD"

.PHONY: kernels
kernels: setup ## fetches the kernels that the virtual machines boot
	@$(PYTHON) -m tools.vm kernels

.PHONY: bench
bench: setup ## measures what docs/benchmarks.md reports
	@$(PYTHON) -m tests.bench

.PHONY: stress
stress: setup ## twenty minutes of everything that might leak, in a virtual machine: KERNEL=6.1|6.12|newest
	@$(PYTHON) -m tools.vm run --kernel $(KERNEL) --timeout 3600 -- python -m tests.stress

.PHONY: lint
lint: lint-python lint-types lint-layers lint-c lint-proto ## every static check

.PHONY: lint-python
lint-python: setup
	@.venv/bin/ruff check --quiet --no-cache .
	@.venv/bin/ruff format --check --quiet --no-cache .

.PHONY: lint-types
lint-types: setup
	@.venv/bin/mypy

.PHONY: lint-layers
lint-layers: setup
	@.venv/bin/lint-imports --no-logo

.PHONY: lint-c
lint-c: setup
	@.venv/bin/clang-format --dry-run -Werror $(PROBES)

# proto/baseline.binpb is the interface as last released: what talks to it must go on working.
.PHONY: lint-proto
lint-proto: setup
	@.venv/bin/buf lint
	@.venv/bin/buf breaking --against proto/baseline.binpb

.PHONY: format
format: setup ## lays out Python and C as lint wants them
	@.venv/bin/ruff format .
	@.venv/bin/clang-format -i $(PROBES)

.PHONY: gen
gen: $(GENERATED:%=gen-%) ## makes every generated file anew

.PHONY: verify
verify: $(GENERATED:%=verify-%) ## fails where a generated file differs from its source

gen-%: setup
	@$(PYTHON) -m tools.gen_$*

verify-%: setup
	@$(PYTHON) -m tools.gen_$* --check

.PHONY: baseline
baseline: setup ## at a release: makes the gRPC interface of now the one that must keep working
	@.venv/bin/buf build --exclude-source-info --output proto/baseline.binpb

.PHONY: pin
pin: setup ## takes the newest Python packages that pyproject.toml allows
	@tools/pin_packages.sh
