#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# build.sh: builds .build/gpufleet-nvidia-VERSION.tar.gz, vendored packages included, and checks what is in
# it. Two builds of the same files are the same bytes. Only what git tracks goes in: `git add` new files.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
version=$(sed -n 's/^version: //p' "$root/galaxy.yml")
name=gpufleet-nvidia-$version.tar.gz
python=$root/.venv/bin/python
package=plugins/module_utils/nvidia_docker

exec 9>"$build/artifact.lock"
flock 9
tree=$("$root/tests/tools/tree.sh" artifact)
tar -C "$root/$package" --exclude=__pycache__ -cf - _vendor | tar -C "$tree/$package" -xf -
"$python" "$root/tests/tools/licences.py" "$tree"
"$python" "$root/tests/tools/sbom.py" "$tree" >"$build/sbom.cdx.json"
mv "$build/sbom.cdx.json" "$tree/meta/"

# Not from the root: its ansible.cfg is for work in the checkout only.
cd "$build"
quietly "ansible-galaxy collection build" \
  "$root/.venv/bin/ansible-galaxy" collection build --force --output-path "$build/artifact" "$tree"
"$python" "$root/tests/tools/artifact.py" "$build/artifact/$name" "$build/$name"
say "$build/$name"
