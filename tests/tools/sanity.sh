#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sanity.sh [ARGUMENT...]: ansible-test sanity on the git-tracked files, in environments of its own. Without
# arguments also compile and import on the oldest Python of targets. SANITY_VENV: an environment with
# another ansible-core than that of .venv; with it, on all Pythons of targets.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
. "$(dirname "$0")/pythons.sh"
venv=${SANITY_VENV:-$root/.venv}
suffix=${SANITY_VENV:+-$(basename "$venv")}
version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# What runs on targets must at least compile and import on each Python of theirs that this machine has.
others=$build/pythons$suffix
rm -rf "$others"
mkdir "$others"
for target in 3.9 ${SANITY_VENV:+3.10 3.11 3.12 3.13 3.14}; do
  [ "$target" = "$version" ] || ! found=$(python_here "$target") || ln -s "$found" "$others/python$target"
done

tree=$("$root/tests/tools/tree.sh" "sanity$suffix")
HOME=$("$venv/bin/python" "$root/tests/tools/ansible_test_home.py")
export HOME
# Shims of version managers answer for Pythons that are not there.
PATH=$venv/bin:$(tr ':' '\n' <<<"$PATH" | grep -v -e shims -e "$root/.venv" | paste -sd:)
export PATH
cd "$tree"
# 2.17 wants each __init__.py of module_utils empty, later ones don't: one of ours has the library's names.
skip=()
[[ $("$venv/bin/python" -c 'import ansible.release as core; print(core.__version__)') != 2.17.* ]] || skip=(--skip-test empty-init)
ansible-test sanity --venv --python "$version" --color no "${skip[@]}" "$@"
[ $# -eq 0 ] || exit 0

supported=$("$venv/bin/python" -c 'from ansible_test._util.target.common.constants import *
print(*REMOTE_ONLY_PYTHON_VERSIONS, *CONTROLLER_PYTHON_VERSIONS)')
for found in "$others"/python*; do
  target=${found##*/python}
  [[ " $supported " == *" $target "* ]] || continue
  PATH=$others:$PATH ansible-test sanity --test compile --test import --color no --python "$target"
done
