#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lint.sh: every check that runs nothing of ours. All of them run; the status says whether one failed.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
PATH=$root/.venv/bin:$PATH
command -v shellcheck >/dev/null || "$root/tests/hosts/packages.sh" shellcheck
command -v mandoc >/dev/null || "$root/tests/hosts/packages.sh" mandoc
share=plugins/module_utils/nvidia_docker/share
failed=0

check() { quietly "$@" || failed=1; }

# CHANGELOG.rst is what changelogs/changelog.yaml makes.
# shellcheck disable=SC2317  # called by check
release_notes() {
  antsibull-changelog generate --output "$build/CHANGELOG.rst" --output-format rst &&
    diff -u CHANGELOG.rst "$build/CHANGELOG.rst"
}

cd "$root"
mapfile -t scripts < <(git grep -lE '^#!(/bin/sh|/usr/bin/env bash)' -- . ':!roles' ':!*.py' || true)
check "ruff check" ruff check .
check "ruff format" ruff format --check .
check "mypy" mypy plugins/module_utils/nvidia_docker
check "yamllint" yamllint --strict .
check "shellcheck" shellcheck --external-sources "${scripts[@]}" "$share"/bash-completion/completions/*
check "mandoc" mandoc -T lint -W warning "$share"/man/man*/*
check "antsibull-changelog lint" antsibull-changelog lint
check "antsibull-changelog lint-changelog-yaml" antsibull-changelog lint-changelog-yaml changelogs/changelog.yaml
check "CHANGELOG.rst" release_notes
check "reuse lint" reuse lint

# The two below follow links and leave folders behind: they get a copy.
cd "$("$root/tests/tools/tree.sh" lint)"
export ANSIBLE_COLLECTIONS_PATH=$build/lint:$build/collections
check "ansible-lint" ansible-lint --offline --nocolor
check "antsibull-docs lint" antsibull-docs lint-collection-docs --plugin-docs \
  --validate-collection-refs all --disallow-unknown-collection-refs .
exit "$failed"
