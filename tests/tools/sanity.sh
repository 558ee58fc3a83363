#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sanity.sh [ARGUMENT...]: ansible-test sanity on the git-tracked files, in environments of its own.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
version=$("$root/.venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

tree=$("$root/tests/tools/tree.sh" sanity)
HOME=$("$root/.venv/bin/python" "$root/tests/tools/ansible_test_home.py")
export HOME
# Shims of version managers answer for Pythons that are not there.
PATH=$root/.venv/bin:$(tr ':' '\n' <<<"$PATH" | grep -v shims | paste -sd:)
cd "$tree"
exec ansible-test sanity --venv --python "$version" --color no "$@"
