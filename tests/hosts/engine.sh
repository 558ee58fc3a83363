#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# engine.sh [start|stop|ours]: a Docker engine on the default socket. `start` installs and starts one
# only where none answers; `stop` stops only an engine that `start` has started from this checkout;
# `ours` says by its status whether such a one runs.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
state=$build/engine

answers() { docker version >/dev/null 2>&1; }
systemd_runs() { [ -d /run/systemd/system ]; }

install() {
  local packages=()
  command -v dockerd >/dev/null || packages+=(docker.io)
  # Debian 13 and later ship the client apart from the engine.
  command -v docker >/dev/null ||
    packages+=("$(apt-cache pkgnames docker-cli | grep -x docker-cli || echo docker.io)")
  command -v iptables >/dev/null || packages+=(iptables)
  [ ${#packages[@]} -gt 0 ] || return 0
  "$root/tests/hosts/packages.sh" "${packages[@]}"
  # There the package starts the engine itself.
  ! systemd_runs || touch "$state/systemd"
}

launch() {
  if systemd_runs; then
    systemctl start docker
    touch "$state/systemd"
    return
  fi
  mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # A session of its own: the engine outlives make, and an interrupted make does not stop it.
  setsid nohup dockerd --data-root "$state/data" --exec-root /run/gpufleet-engine \
    --pidfile "$state/pid" >"$state/log" 2>&1 </dev/null 9>&- &
}

start() {
  answers && return
  mkdir -p "$state"
  exec 9>"$state/lock"
  flock 9
  answers && return
  [ "$(id -u)" = 0 ] || die "no Docker engine answers this user, and only root can start one"
  say "No Docker engine answers: starting one"
  [ -n "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ] ||
    quietly "apt-get update" apt-get -q update || true
  install
  answers || launch
  for second in $(seq 60); do
    answers && say "  Docker engine $(docker version --format '{{.Server.Version}}') answers" && return
    [ $((second % 5)) -ne 0 ] || say "  waiting for the engine ... $second s"
    sleep 1
  done
  [ ! -f "$state/log" ] || tail -n 20 "$state/log" >&2
  die "the Docker engine does not answer after 60 s"
}

running() { [ -f "$state/pid" ] && grep -qs -- "$state/pid" "/proc/$(cat "$state/pid")/cmdline"; }

ours() { [ -f "$state/systemd" ] || running; }

# An engine that was killed leaves the mounts of its containers behind.
unmount() {
  local folder
  for folder in "$@"; do
    awk -v below="$folder/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
      xargs -r -n 1 umount --lazy
  done
}

stop() {
  ours || return 0
  if [ -f "$state/systemd" ]; then
    systemctl stop docker.socket docker
    rm -f "$state/systemd"
  else
    local pid
    pid=$(cat "$state/pid")
    kill "$pid"
    for second in $(seq 30); do
      [ -d "/proc/$pid" ] || break
      [ $((second % 5)) -ne 0 ] || say "  waiting for the engine to stop ... $second s"
      sleep 1
    done
    [ ! -d "/proc/$pid" ] || die "the Docker engine (process $pid) does not stop"
    unmount "$state" /run/gpufleet-engine
    rm -rf /run/gpufleet-engine
  fi
  say "The Docker engine is stopped."
}

case ${1:-start} in
  start | stop | ours) "${1:-start}" ;;
  *) die "usage: engine.sh [start|stop|ours]" ;;
esac
