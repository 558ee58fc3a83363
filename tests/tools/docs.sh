#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# docs.sh: builds the documentation site, .build/docs/html, from docs/ and from the documentation of modules
# and roles. A warning is an error.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
"$root/tests/tools/venv.sh" demo
"$root/tests/tools/venv.sh" docs
"$root/.venv/bin/python" "$root/tests/tools/dependencies.py" >&2
PATH=$build/venv-docs/bin:$PATH
site=$build/docs
source=$site/source

exec 9>"$build/docs.lock"
flock 9
rm -rf "$source"
mkdir -p "$source/reference"
# It refuses a folder that others may write to.
chmod 755 "$source/reference"

# A copy of the tracked files: antsibull-docs follows links.
collection=$("$root/tests/tools/tree.sh" docs/collection)
collections=${collection%/ansible_collections/*}
export ANSIBLE_COLLECTIONS_PATH=$collections:$build/collections
export ANSIBLE_HOME=$build/ansible
cd "$collections"
quietly "antsibull-docs" antsibull-docs collection --use-current --squash-hierarchy --fail-on-error \
  --dest-dir "$source/reference" gpufleet.nvidia
rm -f "$source/reference/index.rst" "$source/reference/environment_variables.rst"
"$root/.venv/bin/python" "$root/tests/tools/docs_source.py" "$source"

quietly "sphinx-build" sphinx-build -W --keep-going -b html -c "$root/docs/site" -d "$site/doctrees" "$source" "$site/html"
say "  $site/html/index.html"
