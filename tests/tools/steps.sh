# shellcheck shell=bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by the scripts of this repository: where things are, and steps that are never silent.

# shellcheck disable=SC2034  # read by the scripts that source this file
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/.build
mkdir -p "$build/logs"
unset PYTHONDONTWRITEBYTECODE # it makes every start of ansible compile its own sources again

say() { printf '%s\n' "$*" >&2; }

die() {
  say "Error: $*"
  exit 1
}

heading() { say "" && say "==> $* [$((SECONDS / 60))m$((SECONDS % 60))s]"; }

# A line every 10 seconds for as long as a process of this shell runs; its status is returned.
accompany() {
  local pid=$1 title=$2 started=$SECONDS pause
  while kill -0 "$pid" 2>/dev/null; do
    sleep 10 >/dev/null 2>&1 &
    pause=$!
    wait -n "$pid" "$pause" || true
    kill "$pause" 2>/dev/null || say "  $title ... $((SECONDS - started)) s"
  done
  wait "$pid"
}

# watched TITLE COMMAND...: shows COMMAND's output.
watched() {
  local title=$1 started=$SECONDS
  shift
  "$@" &
  accompany $! "$title" || return
  say "  $title: $((SECONDS - started)) s"
}

# quietly TITLE COMMAND...: COMMAND's output goes to a log, whose end is shown only when it fails.
quietly() {
  local title=$1 started=$SECONDS log status=0
  shift
  log=$(mktemp "$build/logs/$(tr -cs 'a-zA-Z0-9.' - <<<"$title" | cut -c1-40)XXXXXX")
  say "  $title ..."
  "$@" >"$log" 2>&1 &
  accompany $! "$title" || status=$?
  if [ "$status" -ne 0 ]; then
    say "  $title failed with status $status; the end of its log $log:"
    tail -n 60 "$log" >&2
    return "$status"
  fi
  rm -f "$log"
  say "  $title: $((SECONDS - started)) s"
}
