#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shell.sh: a shell on the host of the demo; its commands come from a terminal or from a pipe.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"

running=$(docker container inspect --format '{{.State.Running}}' "$demo_host" 2>/dev/null) || running=
[ "$running" = true ] || die "there is no running demo host $demo_host, or no Docker engine that answers: make demo"
terminal=
[ ! -t 0 ] || terminal=--tty
exec docker exec --interactive $terminal "$demo_host" bash
