#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# molecule.sh [COMMAND [ARGUMENT...]]: molecule on the test hosts, by default the whole of its test.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
[ $# -gt 0 ] || set -- test --no-command-borders
PATH=$root/.venv/bin:$PATH
cd "$root"
watched "molecule $1" molecule "$@"
