#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# build.sh: builds .build/gpufleet-nvidia-VERSION.tar.gz, vendored packages included, and checks what
# is in it: galaxy.yml's build_ignore is easily outrun by a new file.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
version=$(sed -n 's/^version: //p' "$root/galaxy.yml")
artifact=$build/gpufleet-nvidia-$version.tar.gz

# Not from the root: its ansible.cfg is for work in the checkout only.
cd "$build"
quietly "ansible-galaxy collection build" \
  "$root/.venv/bin/ansible-galaxy" collection build --force --output-path "$build" "$root"

allowed='^(CHANGELOG\.rst|COPYING|LICENSES|README\.md|FILES\.json|MANIFEST\.json|changelogs|docs|meta|playbooks|plugins|roles)(/|$)'
stray=$(tar -tf "$artifact" | grep -Ev "$allowed" || true)
[ -z "$stray" ] || die "galaxy.yml's build_ignore misses: $stray"
for file in h11/_connection.py prometheus_client/exposition.py pynvml.py; do
  tar -tf "$artifact" "plugins/module_utils/nvidia_docker/_vendor/$file" >/dev/null ||
    die "the artifact lacks the vendored $file"
done
say "$artifact"
