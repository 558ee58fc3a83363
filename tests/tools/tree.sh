#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tree.sh NAME: copies the git-tracked files to .build/NAME/ansible_collections/gpufleet/nvidia and
# prints that path. ansible-test insists on such a path, follows links, and tests whatever lies around.
# Where git knows nothing of this folder, as after unpacking a tarball, all files are copied.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
tree=$build/${1:?usage: tree.sh NAME}/ansible_collections/gpufleet/nvidia
fresh=$tree.new

rm -rf "$fresh"
mkdir -p "$fresh"
cd "$root"
files() {
  if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$root" ]; then
    git ls-files -z -- ':!.dev'
  else
    find . -type f -not -path './.build/*' -not -path './.venv/*' -not -path '*/_vendor/*' -not -path '*/__pycache__/*' -print0
  fi
}
files | xargs -0 ls -d 2>/dev/null | tar -cf - --verbatim-files-from -T - | tar -xf - -C "$fresh"
# ansible-test keeps its environments of the last run here.
[ ! -d "$tree/tests/output" ] || mv "$tree/tests/output" "$fresh/tests/output"
# A repository of its own: the one around it ignores .build, and ansible-test would see no file.
git -C "$fresh" init -q
rm -rf "$tree"
mv "$fresh" "$tree"
echo "$tree"
