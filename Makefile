# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help demo demo-shell demo-clean test test-full test-unit conformance test-faults test-fuzz test-lint test-sanity
.PHONY: test-gpu test-docker-clients test-report test-docs test-artifact test-molecule test-integration test-example test-drivers bench docs venv lock vendor build install uninstall
MAKEFLAGS += --no-print-directory

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 22

demo: ## Make a simulated GPU host, provision it and show it
	@tests/demo/demo.sh

demo-shell: ## A shell on the host of the demo
	@tests/demo/shell.sh

demo-clean: ## Remove everything that the demo made
	@tests/demo/clean.sh

test: ## Run all tests: unit, docker clients, conformance, faults, fuzz, report, docs, artifact, lint, sanity, molecule, integration
	@tests/tools/test.sh

test-full: ## Run all tests in full: 100,000 hostile requests, a user's project, Debian's real driver packages, oldest and newest ansible-core
	@GPUFLEET_FUZZ=100000 GPUFLEET_ARGUMENTS=1000 GPUFLEET_MATRIX=full tests/tools/test.sh unit docker_clients conformance faults fuzz report docs artifact lint sanity molecule integration example driver_packages cores

test-unit: ## Run the unit tests
	@tests/tools/test.sh unit

test-docker-clients: ## Compare arguments with real docker clients; GPUFLEET_ARGUMENTS=2000 for long
	@tests/tools/test.sh docker_clients

test-faults: ## Kill, starve and race what makes driver volumes (root)
	@tests/tools/test.sh faults

bench: venv ## Measure beside baselines, all or SUBJECTS=driver_volume; SAVE=FILE for docs/performance.md
	@.venv/bin/python tests/bench/run.py $(if $(SAVE),--save $(SAVE)) $(SUBJECTS)

conformance: ## Replay recordings of nvidia-docker 1.0.1 and nvidia-ctk (RECORDINGS=folder: others)
	@RECORDINGS='$(RECORDINGS)' tests/tools/test.sh conformance

test-fuzz: ## Attack the plugin's HTTP server; GPUFLEET_FUZZ=100000 for long
	@tests/tools/test.sh fuzz

test-report: ## Open the page of a fleet in headless Chromium; pictures in .build/report
	@tests/tools/test.sh report

test-artifact: ## Build the collection and test the tarball: contents, licences, two equal builds, Galaxy's checks
	@tests/tools/test.sh artifact

test-docs: ## Build the documentation site and open it in headless Chromium; pictures in .build/site
	@tests/tools/test.sh docs

test-lint: ## Run the linters and type checks
	@tests/tools/test.sh lint

test-sanity: ## Run ansible-test sanity on the git-tracked files
	@tests/tools/test.sh sanity

test-molecule: ## Run molecule on a Debian 12 and a Debian 13 host
	@tests/tools/test.sh molecule

test-integration: ## Run the demo and the tests on its host, for Debian 12 and 13
	@tests/tools/test.sh integration

test-example: ## Test docs/examples/tested-playbook as its user does, with the built collection (not part of test)
	@tests/tools/test.sh example

test-drivers: ## Test discovery on Debian's real driver packages (not part of test)
	@tests/tools/test.sh driver_packages

docs: ## Build the documentation site, .build/docs/html
	@tests/tools/docs.sh

test-gpu: ## On a machine with NVIDIA GPUs: compare facts with nvidia-smi, record it (not part of test; OUT=folder)
	@python3 tests/gpu/run.py $(OUT)
venv: ## Make .venv with everything that tests and lint need
	@tests/tools/prepare.sh dev

lock: venv ## Resolve tests/requirements/*.in anew into *.txt
	@tests/tools/venv.sh lock

vendor: ## Put the pinned h11, nvidia-ml-py and prometheus-client into _vendor
	@tests/tools/venv.sh demo && .venv/bin/python tests/tools/vendor.py

build: vendor ## Build the collection artifact in .build
	@tests/tools/build.sh

install: ## Install the collection for this user; with PREFIX=/usr/local the programs, without Ansible
	@tests/tools/install.sh

uninstall: ## Remove the programs that `make install PREFIX=/usr/local` has installed
	@tests/tools/programs.sh uninstall
