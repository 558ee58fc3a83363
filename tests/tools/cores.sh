#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cores.sh oldest|newest: the collection with the oldest or the newest ansible-core that it is for, and the
# oldest or newest Python that this one takes: sanity, documentation, and the demo from the tarball. Ends
# with status 77 where such a Python can't be had.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
. "$(dirname "$0")/pythons.sh"
case ${1:-} in
  oldest) wanted="3.10 3.11 3.12" ;;
  newest) wanted="3.14 3.13 3.12" ;;
  *) die "usage: cores.sh oldest|newest" ;;
esac

# shellcheck disable=SC2086  # one word per version
python=$(python_or_download $wanted) || {
  say "  none of Python $wanted can be had here: not tested with the $1 ansible-core"
  exit 77
}
"$root/tests/tools/venv.sh" "core-$1" "$python"
venv=$build/venv-core-$1
collections=$build/core-$1-collections
collection=$collections/ansible_collections/gpufleet/nvidia
say "  ansible-core $("$venv/bin/python" -c 'from ansible.release import __version__; print(__version__)'), $("$python" -V)"

rm -rf "$collections"
"$root/tests/tools/install.sh" "$collections" >/dev/null

# With a user's settings, not the checkout's.
cd "$build"
export ANSIBLE_COLLECTIONS_PATH=$collections ANSIBLE_HOME=$build/ansible-$1
mapfile -t modules < <(cd "$collection/plugins/modules" && printf 'gpufleet.nvidia.%s\n' *.py | sed 's/\.py$//')
mapfile -t roles < <(cd "$collection/roles" && printf 'gpufleet.nvidia.%s\n' *)
quietly "ansible-doc of ${#modules[@]} modules" "$venv/bin/ansible-doc" --json "${modules[@]}"
quietly "ansible-doc of ${#roles[@]} roles" "$venv/bin/ansible-doc" --json -t role "${roles[@]}"
quietly "ansible-galaxy collection verify" \
  "$venv/bin/ansible-galaxy" collection verify --offline --collections-path "$collections" gpufleet.nvidia
SANITY_VENV=$venv quietly "ansible-test sanity" "$root/tests/tools/sanity.sh"
GPUFLEET_DEMO=$demo_host-cores DEMO_COLLECTIONS=$collections DEMO_VENV=$venv quietly "demo" "$root/tests/demo/demo.sh"
