#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# prepare.sh demo|dev: everything that a checkout needs before a playbook of it can run: .venv, the
# collections that ours depends on, the vendored packages.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
"$root/tests/tools/venv.sh" "$1"
for script in dependencies.py vendor.py; do
  "$root/.venv/bin/python" "$root/tests/tools/$script" >&2
done
