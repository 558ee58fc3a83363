# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help venv lock vendor build install
MAKEFLAGS += --no-print-directory

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

venv: ## Make .venv with everything that tests and lint need
	@tests/tools/venv.sh dev && .venv/bin/python tests/tools/dependencies.py

lock: venv ## Resolve tests/requirements/*.in anew into *.txt
	@tests/tools/venv.sh lock

vendor: ## Put the pinned nvidia-ml-py and waitress into _vendor
	@tests/tools/venv.sh demo && .venv/bin/python tests/tools/vendor.py

build: vendor ## Build the collection artifact in .build
	@tests/tools/build.sh

install: build ## Install the collection for this user
	@tests/tools/install.sh
