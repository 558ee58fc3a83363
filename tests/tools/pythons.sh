# shellcheck shell=bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced after steps.sh: which Pythons this machine has.
# shellcheck disable=SC2154  # root and build are set by steps.sh

# python_here VERSION: prints the path of this Python. Shims of version managers answer for Pythons that are
# not there.
python_here() {
  local found
  for found in "$(PATH=$(tr ':' '\n' <<<"$PATH" | grep -v shims | paste -sd:) command -v "python$1" || true)" \
    "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1"; do
    if [ -x "$found" ]; then
      echo "$found"
      return
    fi
  done
  return 1
}

# python_or_download VERSION...: the first of them that is here, else the first that uv can download.
python_or_download() {
  local version
  for version in "$@"; do
    ! python_here "$version" || return 0
  done
  for version in "$@"; do
    if timeout 120 "$root/.venv/bin/uv" python install -q --no-bin --install-dir "$build/python" "$version" 2>/dev/null; then
      UV_PYTHON_INSTALL_DIR=$build/python "$root/.venv/bin/uv" python find --managed-python "$version"
      return
    fi
  done
  return 1
}
