# shellcheck shell=bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by the scripts of this repository: where things are, and steps that are never silent.

# shellcheck disable=SC2034  # read by the scripts that source this file
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/.build
# GPUFLEET_DEMO lets two checkouts each have a demo on one engine.
# shellcheck disable=SC2034
demo_host=${GPUFLEET_DEMO:-gpufleet-demo}
# shellcheck disable=SC2034
demo_folder=$build/demo/$demo_host
mkdir -p "$build/logs"
unset PYTHONDONTWRITEBYTECODE # it makes every start of ansible compile its own sources again

say() { printf '%s\n' "$*" >&2; }

die() {
  say "Error: $*"
  exit 1
}

heading() { say "" && say "==> $* [$((SECONDS / 60))m$((SECONDS % 60))s]"; }

# Says every 10 seconds that TITLE still runs, until its input, which says nothing, ends.
beat() {
  local title=$1 started=$SECONDS status
  while status=0 && { read -r -t 10 || status=$?; } && [ "$status" -gt 128 ]; do
    say "  $title ... $((SECONDS - started)) s"
  done
}

# accompanied TITLE COMMAND...: runs COMMAND, never silent for long. COMMAND stays in the foreground:
# in the background a shell makes it deaf to Ctrl-C.
accompanied() {
  local title=$1 status=0 life
  shift
  exec {life}> >(beat "$title")
  # COMMAND does not get the descriptor, or a daemon that it starts would keep the beat alive.
  eval '"$@"' "$life>&-" || status=$?
  exec {life}>&-
  return "$status"
}

# watched TITLE COMMAND...: shows COMMAND's output.
watched() {
  local title=$1 started=$SECONDS
  accompanied "$@" || return
  say "  $title: $((SECONDS - started)) s"
}

# quietly TITLE COMMAND...: COMMAND's output goes to a log, whose end is shown only when it fails.
quietly() {
  local title=$1 started=$SECONDS log status=0
  shift
  log=$(mktemp "$build/logs/$(tr -cs 'a-zA-Z0-9.' - <<<"$title" | cut -c1-40)XXXXXX")
  say "  $title ..."
  accompanied "$title" logged "$log" "$@" || status=$?
  if [ "$status" -ne 0 ]; then
    say "  $title failed with status $status; the end of its log $log:"
    tail -n 60 "$log" >&2
    return "$status"
  fi
  rm -f "$log"
  say "  $title: $((SECONDS - started)) s"
}

logged() {
  local log=$1
  shift
  "$@" >"$log" 2>&1
}
