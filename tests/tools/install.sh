#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# install.sh [FOLDER]: builds the collection and installs it into FOLDER, default ~/.ansible/collections.
# Where community.docker is not there yet, the copy of .build/collections is put beside it. With PREFIX in
# the environment the programs are installed instead.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
[ -z "${PREFIX:-}${DESTDIR:-}" ] || exec "$root/tests/tools/programs.sh" install
make -C "$root" build
target=${1:-$HOME/.ansible/collections}
version=$(sed -n 's/^version: //p' "$root/galaxy.yml")
community=$target/ansible_collections/community

"$root/.venv/bin/python" "$root/tests/tools/dependencies.py"
mkdir -p "$community"
for collection in docker library_inventory_filtering_v1; do
  [ -e "$community/$collection" ] ||
    cp -r "$build/collections/ansible_collections/community/$collection" "$community/"
done
# Not from the root: its ansible.cfg would make ansible-galaxy find the collection "already installed".
cd "$build"
quietly "ansible-galaxy collection install" \
  "$root/.venv/bin/ansible-galaxy" collection install --force --offline --collections-path "$target" \
  "$build/gpufleet-nvidia-$version.tar.gz"
say "gpufleet.nvidia $version is installed in $target"
