#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# programs.sh install|uninstall: the programs and their units, on this machine or below DESTDIR, without
# Ansible. PREFIX is /usr/local by default, PYTHON (/usr/bin/python3) runs the programs.
set -euo pipefail
. "$(dirname "$0")/steps.sh"
export PREFIX=${PREFIX:-/usr/local} DESTDIR=${DESTDIR:-} PYTHON=${PYTHON:-/usr/bin/python3}
program=$root/tests/tools/programs.py
service=nvidia-docker-plugin.service
cdi="nvidia-docker-cdi.timer nvidia-docker-cdi.path nvidia-docker-cdi.service"
volumes=/var/lib/nvidia-docker/volumes
links=/run/nvidia-docker-cdi/links
nodes=nvidia-docker-cdi-nodes.service
sockets="nvidia-docker-plugin.socket nvidia-docker-volume-maker.socket nvidia-docker-image-reader.socket"

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || die "only root can do this on the machine itself; DESTDIR=FOLDER needs no root"
[ "$("$PYTHON" -c 'import sys; print(sys.version_info >= (3, 9))' 2>/dev/null)" = True ] ||
  die "PYTHON=$PYTHON is no Python 3.9 or later"

on_this_machine() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

# leave SERVICE UNIT...: stops and disables these units where SERVICE is installed. All are stopped first: systemd
# warns of a service that is disabled while its socket or timer could start it again.
leave() {
  systemctl cat "$1" >/dev/null 2>&1 || return 0
  systemctl stop "$@"
  systemctl --quiet disable "$@"
}

# What the units have left goes: a failed state, sockets. What containers may have mounted stays and is named.
forget() {
  # shellcheck disable=SC2086  # one word per unit
  systemctl reset-failed "$service" $sockets $cdi $nodes 2>/dev/null || true
  systemctl daemon-reload
  rm -rf /run/nvidia-docker
  [ -d "$links" ] || rm -rf "${links%/*}"
  local folder
  for folder in "$volumes" "$links"; do
    [ ! -d "$folder" ] || say "$folder stays, as containers may use it."
  done
}

case ${1:-} in
  install)
    make -C "$root" vendor
    units=$(mktemp -d)
    trap 'rm -rf "$units"' EXIT
    # The templates are the role's, and Jinja is there where the collection is built.
    "$root/.venv/bin/python" "$program" render "$units"
    "$PYTHON" -I "$program" install "$units"
    if on_this_machine; then
      systemctl daemon-reload
      say "Now: systemctl enable --now $service"
      say "And for --device nvidia.com/gpu=0 of Docker 25 and Podman: systemctl enable --now $cdi"
    fi
    ;;
  uninstall)
    if on_this_machine; then
      # shellcheck disable=SC2086  # one word per unit
      leave "$service" $sockets
      # shellcheck disable=SC2086  # one word per unit
      leave nvidia-docker-cdi.service $cdi $nodes
    fi
    "$PYTHON" -I "$program" uninstall
    ! on_this_machine || forget
    ;;
  *) die "usage: programs.sh install|uninstall" ;;
esac
