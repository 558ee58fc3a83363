#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# example.sh: does what a user does with docs/examples/tested-playbook: copies it, installs the collection as it is
# built, and runs Molecule.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
folder=$build/example
PATH=$root/.venv/bin:$PATH
export ANSIBLE_HOME=$folder/home ANSIBLE_COLLECTIONS_PATH=$folder/collections

"$root/tests/hosts/engine.sh" start
rm -rf "$folder"
mkdir -p "$folder"
"$root/tests/tools/install.sh" "$folder/collections"
cp -r "$root/docs/examples/tested-playbook" "$folder/project"
# No registry is asked: the image of the test hosts has what Debian's has.
BASE_IMAGE=$("$root/tests/hosts/image.sh" trixie)
export BASE_IMAGE
cd "$folder/project"
watched "molecule test" molecule test --no-command-borders
