#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sanity.sh [ARGUMENT...]: ansible-test sanity on the git-tracked files, in environments of its own. Without
# arguments also compile and import on the other Pythons of targets.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
version=$("$root/.venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

tree=$("$root/tests/tools/tree.sh" sanity)
user_home=$HOME
HOME=$("$root/.venv/bin/python" "$root/tests/tools/ansible_test_home.py")
export HOME
# Shims of version managers answer for Pythons that are not there.
PATH=$root/.venv/bin:$(tr ':' '\n' <<<"$PATH" | grep -v shims | paste -sd:)
export PATH
cd "$tree"
ansible-test sanity --venv --python "$version" --color no "$@"
[ $# -eq 0 ] || exit 0

# What runs on targets must at least compile and import on each Python of theirs that this machine has.
others=$build/pythons
rm -rf "$others"
mkdir "$others"
for target in 3.9 3.10 3.11 3.12 3.13; do
  for found in "$(command -v "python$target" || true)" \
    "${PYENV_ROOT:-$user_home/.pyenv}/versions/$target".*/bin/"python$target"; do
    [ "$target" = "$version" ] || [ ! -x "$found" ] || ln -sf "$found" "$others/python$target"
  done
done
for found in "$others"/python*; do
  [ -e "$found" ] || break
  PATH=$others:$PATH ansible-test sanity --test compile --test import --color no \
    --python "${found##*/python}"
done
