#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# venv.sh demo|dev|lock: makes .venv with the pinned tests/requirements/{demo,dev}.txt; a second run
# costs nothing. `lock` resolves the *.in files anew into the *.txt files.
# venv.sh NAME [PYTHON]: an environment of its own, .build/venv-NAME, with the pinned NAME.txt.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
venv=$root/.venv
requirements=$root/tests/requirements

# The first Python that is new enough and really runs: shims of version managers may not.
find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$name" -c 'import os, sys; print(os.path.realpath(sys.executable))'
      return
    fi
  done
  die "no Python 3.11 or later found (tried python3.13, python3.12, python3.11 and python3)"
}

create() {
  local python
  python=$(find_python)
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian and Ubuntu ship these two modules apart.
    "$root/tests/hosts/packages.sh" "$(basename "$python")-venv"
  fi
  rm -rf "$venv"
  quietly "Python environment .venv ($("$python" -V))" "$python" -m venv "$venv"
  quietly "uv" "$venv/bin/python" -m pip install -q --no-cache-dir --disable-pip-version-check \
    --require-hashes -r "$requirements/uv.txt"
}

# install NAME [FOLDER]: what NAME.txt pins, nothing whose hash is another one.
install() {
  local index folder=${2:-$venv}
  # uv does not read pip's settings; a company's mirror usually is in them.
  index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
  [ -z "$index" ] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
  export UV_CACHE_DIR=$build/cache/uv
  "$venv/bin/uv" pip install --require-hashes --build-constraints "$requirements/build.txt" --compile-bytecode \
    --python "$folder/bin/python" -r "$requirements/$1.txt" ||
    "$venv/bin/python" -m pip --python "$folder/bin/python" install --require-hashes -r "$requirements/$1.txt"
}

# apart NAME PYTHON: an environment beside .venv.
apart() {
  local folder=$build/venv-$1
  rm -rf "$folder"
  "$venv/bin/uv" venv -q --python "$2" "$folder"
  install "$1" "$folder"
  sha256sum "$requirements/$1.txt" >"$folder/stamp"
}

# compile PYTHON NAME [ARGUMENT...]: NAME.in to NAME.txt, for this Python and later ones.
compile() {
  local python=$1 name=$2
  shift 2
  "$venv/bin/uv" pip compile -q --universal --python-version "$python" --generate-hashes --no-header --no-annotate \
    "$@" "$name.in" -o "$name.txt"
}

lock() {
  cd "$requirements"
  compile 3.11 dev
  compile 3.11 demo -c dev.txt
  compile 3.11 docs -c dev.txt
  compile 3.11 importer
  compile 3.10 core-oldest
  compile 3.12 core-newest
  compile 3.11 uv
  compile 3.11 build
}

stamped() { [ -x "$venv/bin/python" ] && sha256sum --status -c "$venv/stamp-$1" 2>/dev/null; }

level=${1:-dev}
exec 9>"$build/venv.lock"
flock 9
case $level in
  demo | dev)
    cd "$requirements"
    # What dev has is all that demo needs.
    ! stamped dev || exit 0
    ! stamped "$level" || exit 0
    { "$venv/bin/python" -c "" && "$venv/bin/uv" --version; } >/dev/null 2>&1 || create
    quietly "Python packages of tests/requirements/$level.txt" install "$level"
    sha256sum "$level.txt" >"$venv/stamp-$level"
    ;;
  lock)
    lock
    ;;
  *)
    [ -f "$requirements/$level.in" ] || die "usage: venv.sh demo|dev|lock, or venv.sh NAME [PYTHON] for tests/requirements/NAME.in"
    sha256sum --status -c "$build/venv-$level/stamp" 2>/dev/null ||
      quietly "Python environment .build/venv-$level" apart "$level" "${2:-$venv/bin/python}"
    ;;
esac
