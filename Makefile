# Two commands: `make demo` and `make test`.  Both install what is missing first.  `make` alone lists the others.

PYTHON ?= python3
VENV ?= .venv
DEMO_PORTS ?=
BENCH_OPTIONS ?=
IMAGE_OPTIONS ?=
SIMULATE_OPTIONS ?=
FAILURES_OPTIONS ?=
FUZZ_SECONDS ?= 600
FUZZ_JOBS ?= $(shell nproc)
FUZZ_OPTIONS ?=
SOAK_SECONDS ?= 3600
SOAK_OPTIONS ?=
export DEMO_PORTS PYTHON VENV
export PIP_DISABLE_PIP_VERSION_CHECK = 1

WEB := novnc_twisted/web
PAGE := $(WEB)/dist/vnc_auto.html
PAGE_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test/*' 2>/dev/null)

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: help demo test quick test-all test-faults test-nova test-packages failures lint docs page deb image bench bench-nova simulate soak fuzz clean packages-demo packages-test packages-bench packages-nova packages-image packages-packages

help:
	@echo 'make demo      three real VMs and every service, on loopback, until Ctrl-C (DEMO_PORTS="8774 6080 6081")'
	@echo 'make test      lint, the page'"'"'s tests and every other test, with $(PYTHON)'
	@echo 'make quick     lint, the page'"'"'s tests and the short unit tests, in a minute or so'
	@echo 'make test-all  make test with every Python from 3.11 to 3.13 on this machine, and the bus on Valkey'
	@echo 'make test-faults clouds whose parts are killed, and real systemds, in 5 minutes'
	@echo 'make test-nova the noVNC proxy in front of a real Keystone and nova, from PyPI'
	@echo 'make test-packages the Debian package, the Ansible role and the images: built, installed and run'
	@echo 'make lint      ruff, mypy, codespell and the prose linter'
	@echo 'make page      the console page alone'
	@echo 'make docs      the documents, in docs/_build/html'
	@echo 'make deb       a Debian package of the program, in dist'
	@echo 'make image     an image of each service, with buildah (IMAGE_OPTIONS="--debootstrap --ca FILE COMMAND...")'
	@echo 'make bench     the benchmarks, beside other proxies (BENCH_OPTIONS=--quick: in 3 minutes)'
	@echo 'make bench-nova our proxy and nova-novncproxy in front of a real nova, side by side'
	@echo 'make simulate  10,000 compute hosts and 100,000 sessions on a real Redis (SIMULATE_OPTIONS=--quick)'
	@echo 'make soak      5,000 live sessions in one process, for an hour (SOAK_SECONDS=3600)'
	@echo '               SOAK_OPTIONS="--take-overs 10": 550 sessions while the services are replaced'
	@echo 'make failures  kill, stop and cut off each part of a cloud, and write the table of docs/failures (root)'
	@echo 'make fuzz      every parser with generated input, for ten minutes (FUZZ_SECONDS=600)'
	@echo 'make clean     removes what was built or installed in this folder'

# A recipe of one exec'd process: a SIGTERM to make reaches this process too.
demo: $(VENV)/.installed-demo
	@exec $(VENV)/bin/python -m demo --with-parent

test: packages-test $(VENV)/.installed-test .make/promtool
	@exec $(VENV)/bin/python scripts/check.py

quick: $(VENV)/.installed-test .make/promtool
	@exec $(VENV)/bin/python scripts/check.py --only lint --only page --only quick

test-all: $(VENV)/.installed-test .make/promtool
	@exec $(VENV)/bin/python scripts/check_all.py

test-faults: $(VENV)/.installed-test
	@exec $(VENV)/bin/python scripts/check.py --only faults

test-nova: $(VENV)/.installed-test packages-nova .venv-nova/.installed .venv-ansible/.installed
	@exec $(VENV)/bin/python scripts/check.py --only nova

test-packages: $(VENV)/.installed-test packages-packages .venv-ansible/.installed
	@exec $(VENV)/bin/python scripts/check.py --only packages

lint: $(VENV)/.installed-test
	@exec $(VENV)/bin/python scripts/check.py --only lint

docs: $(VENV)/.installed-test
	@exec $(VENV)/bin/sphinx-build --quiet -W --keep-going -b html docs docs/_build/html

page: $(PAGE)

deb: $(VENV)/.installed-test
	@exec contrib/debian/build $(VENV)/bin/pip dist

image: packages-image
	@exec contrib/container/build $(IMAGE_OPTIONS)

bench: $(VENV)/.installed-test packages-bench .venv-bench/.installed
	@exec $(VENV)/bin/python -m benchmarks $(BENCH_OPTIONS)

simulate: $(VENV)/.installed-test
	@exec $(VENV)/bin/python -m benchmarks.simulation $(SIMULATE_OPTIONS)

bench-nova: $(VENV)/.installed-test packages-nova .venv-nova/.installed
	@exec $(VENV)/bin/python -m tests.nova.bench $(BENCH_OPTIONS)

soak: $(VENV)/.installed-demo packages-bench
	@exec $(VENV)/bin/python -m benchmarks.soak --seconds $(SOAK_SECONDS) $(SOAK_OPTIONS)

failures: $(VENV)/.installed-test
	@exec $(VENV)/bin/python -m tests.failures $(FAILURES_OPTIONS)

fuzz: $(VENV)/.installed-fuzz
	@exec $(VENV)/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) $(FUZZ_OPTIONS)

clean:
	@rm -rf .venv .venv-* .make build dist *.egg-info docs/_build _trial_temp* .mypy_cache .ruff_cache .hypothesis
	@rm -rf $(WEB)/dist $(WEB)/node_modules

# Check for the Debian packages each time (it takes a moment); install only those that are missing.
packages-demo:
	@exec scripts/install-packages demo

packages-test:
	@exec scripts/install-packages test

# Where it cannot be had, the test that needs it fails and names it.
.make/promtool: scripts/install-promtool | packages-test
	-@exec scripts/step "getting promtool" scripts/install-promtool $@

packages-image:
	@exec scripts/install-packages image

packages-packages:
	@exec scripts/install-packages packages

packages-nova:
	@exec scripts/install-packages nova

# A proxy that cannot be installed is not measured; the report names it.
packages-bench: | $(VENV)/.installed-demo
	-@exec scripts/install-packages bench

.venv-bench/.installed: scripts/install-peers | $(VENV)/.installed-demo
	-@exec scripts/step "installing websockify and nova into .venv-bench" scripts/install-peers .venv-bench

.venv-nova/.installed: scripts/install-nova | $(VENV)/bin/python
	@exec scripts/step "installing Keystone, Placement and nova into .venv-nova" scripts/install-nova .venv-nova

.venv-ansible/.installed: scripts/install-ansible | $(VENV)/bin/python
	@exec scripts/step "installing Ansible into .venv-ansible" scripts/install-ansible .venv-ansible

$(VENV)/bin/python: | packages-demo
	@exec scripts/step "making $(VENV)" $(PYTHON) -m venv $(VENV)

$(PAGE): $(PAGE_SOURCES) | $(VENV)/bin/python
	@exec scripts/step "building the console page" scripts/build-page $(WEB)

$(VENV)/.installed-demo: pyproject.toml setup.py $(PAGE) | $(VENV)/bin/python
	@exec scripts/step "installing into $(VENV)" scripts/pip-install libvirt,clients - $@

$(VENV)/.installed-test: pyproject.toml setup.py $(PAGE) | $(VENV)/bin/python packages-test
	@exec scripts/step "installing into $(VENV), with the packages for the tests" scripts/pip-install redis,libvirt,openstack,jwt,clients,tracing test,docs $@ $(VENV)/.installed-demo

$(VENV)/.installed-fuzz: pyproject.toml setup.py $(PAGE) | $(VENV)/bin/python
	@exec scripts/step "installing into $(VENV), with the packages for fuzzing" scripts/pip-install redis fuzz $@
