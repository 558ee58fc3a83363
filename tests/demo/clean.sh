#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# clean.sh: removes what demo.sh made: host, network, images, engine, files. What test hosts or other
# containers of this machine still need stays and is named.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
label=io.gpufleet.nvidia.test=1
hosts=

remove_from_engine() {
  "$root/tests/hosts/host.sh" down "$demo_host"
  hosts=$(docker ps --all --filter "label=$label" --format '{{.Names}}' | paste -sd' ')
  if [ -n "$hosts" ]; then
    say "Container $demo_host is removed; network, images, engine and files stay for: $hosts"
    return
  fi
  docker network ls --quiet --filter "label=$label" | xargs -r docker network rm >/dev/null
  docker image ls --quiet --filter "label=$label" | sort -u | xargs -r docker image rm --force >/dev/null
  say "Containers, volumes, network and images of the demo are removed."
}

if docker version >/dev/null 2>&1; then
  remove_from_engine
  others=$(docker ps --all --quiet | wc -l)
  if [ -n "$hosts" ]; then
    exit 0
  elif [ "$others" -eq 0 ]; then
    "$root/tests/hosts/engine.sh" stop
  elif "$root/tests/hosts/engine.sh" ours; then
    say "The Docker engine and .build, where its data is, stay: $others other containers are on it."
    exit 0
  fi
fi
packages=$build/packages-installed
if [ -s "$packages" ]; then
  say "These system packages were installed and stay, until apt-get purge takes them away:"
  sort -u "$packages" | paste -sd' ' | fold -s -w 96 | sed 's/^/  /' >&2
fi
rm -rf "$build" "$root/.venv" "$root/plugins/module_utils/nvidia_docker/_vendor"
find "$root/plugins" "$root/roles" "$root/tests" -name __pycache__ -prune -exec rm -rf {} +
say "The files of the demo (.build, .venv, _vendor) are removed."
