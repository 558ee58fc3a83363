#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# host.sh up NAME SUITE | wait NAME | down NAME: a test host, a container in which systemd is process 1
# and a nested Docker engine works. It survives `docker restart NAME`.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
usage="usage: host.sh up NAME SUITE | wait NAME | down NAME"
label=io.gpufleet.nvidia.test=1
network=gpufleet

inspect() { docker container inspect --format "$2" "$1" 2>/dev/null; }

# A machine may lack CAP_SYS_RESOURCE itself: Docker 20.10 must then be told, later ones must not.
missing_capability() {
  local bounding
  bounding=$(awk '$1 == "CapBnd:" {print $2}' /proc/self/status)
  if ! ((0x$bounding >> 24 & 1)) && [[ $(docker version --format '{{.Server.Version}}') = 20.* ]]; then
    echo --cap-drop=SYS_RESOURCE
  fi
}

# Docker lets two networks have one name when they are made at once.
make_network() (
  exec 9>"$build/network.lock"
  flock 9
  docker network inspect "$network" >/dev/null 2>&1 ||
    docker network create --label "$label" "$network" >/dev/null
)

up() {
  local name=$1 image variable options=()
  image=$("$root/tests/hosts/image.sh" "$2")
  if [ "$(inspect "$name" '{{.Config.Image}} {{.State.Running}}')" = "$image true" ]; then
    wait_for "$name"
    return
  fi
  down "$name"
  make_network
  for variable in http_proxy https_proxy HTTP_PROXY HTTPS_PROXY; do
    [ -z "${!variable:-}" ] || options+=(--env "$variable")
  done
  if [ ${#options[@]} -gt 0 ]; then
    # The host asks its own plugin without the proxy.
    local direct=localhost,127.0.0.1,::1,${no_proxy:-${NO_PROXY:-}}
    options+=(--env "no_proxy=${direct%,}" --env "NO_PROXY=${direct%,}")
  fi
  mapfile -t -O "${#options[@]}" options < <(missing_capability)
  # Not --privileged, as above. Never the machine's /sys/fs/cgroup: the guest's systemd would remount
  # it. Docker's data lies on volumes, as overlay cannot be stacked on overlay.
  docker run --detach --name "$name" --hostname "$name" --label "$label" --network "$network" \
    --cgroupns private --cap-add ALL --device-cgroup-rule 'a *:* rwm' \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --stop-signal SIGRTMIN+3 --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec \
    --volume /var/lib/docker --volume /var/lib/containerd \
    "${options[@]}" "$image" >/dev/null
  wait_for "$name"
}

wait_for() {
  local name=$1 state
  for second in $(seq 60); do
    state=$(docker exec "$name" systemctl is-system-running --wait 2>&1 || true)
    case $state in
      running)
        return
        ;;
      degraded)
        docker exec "$name" systemctl --failed --no-legend --plain >&2
        die "units of host $name failed"
        ;;
    esac
    [ $((second % 5)) -ne 0 ] || say "  waiting for host $name ... $second s ($state)"
    sleep 1
  done
  docker logs --tail 20 "$name" >&2
  die "host $name is not up after 60 s: $state"
}

down() {
  local mine
  mine=$(inspect "$1" '{{index .Config.Labels "io.gpufleet.nvidia.test"}}') || return 0
  [ "$mine" = 1 ] || die "container $1 was not made by this script; not touching it"
  docker rm --force --volumes "$1" >/dev/null
}

"$root/tests/hosts/engine.sh" start
case "${1:-} $#" in
  "up 3") up "$2" "$3" ;;
  "wait 2") wait_for "$2" ;;
  "down 2") down "$2" ;;
  *) die "$usage" ;;
esac
