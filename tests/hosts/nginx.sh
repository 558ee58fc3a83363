#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# nginx.sh: installs nginx and openssl for the tests that start their own, without starting nginx as a service.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || {
  policy=/usr/sbin/policy-rc.d
  if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    # Asked by Debian's packages before they start a service; 101 forbids it.
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
  fi
  "$root/tests/hosts/packages.sh" nginx-light
}
command -v openssl >/dev/null || "$root/tests/hosts/packages.sh" openssl
