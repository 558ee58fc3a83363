#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# packages.sh PACKAGE...: installs the system packages that are missing. What apt added is noted in
# .build/packages-installed, so that `make demo-clean` can name it.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"

installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort; }

command -v apt-get >/dev/null || die "this machine has no apt-get; install by hand: $*"
exec 9>"$build/packages.lock"
flock 9
missing=$(comm -23 <(printf '%s\n' "$@" | sort -u) <(installed "$@"))
[ -n "$missing" ] || exit 0
names=${missing//$'\n'/ }
[ "$(id -u)" = 0 ] || die "these system packages are missing and only root can install them: $names"

export DEBIAN_FRONTEND=noninteractive
before=$(installed)
quietly "apt-get update" apt-get -q update -o DPkg::Lock::Timeout=300 ||
  say "  (not every package source answers; going on with those that do)"
# shellcheck disable=SC2086  # one word per package
quietly "apt-get install $names" apt-get -q install -y --no-install-recommends \
  -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold $names
comm -13 <(printf '%s\n' "$before") <(installed) >>"$build/packages-installed"
