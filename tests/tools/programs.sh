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
sockets="nvidia-docker-plugin.socket nvidia-docker-volume-maker.socket nvidia-docker-image-reader.socket"

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || die "only root can do this on the machine itself; DESTDIR=FOLDER needs no root"
[ "$("$PYTHON" -c 'import sys; print(sys.version_info >= (3, 9))' 2>/dev/null)" = True ] ||
  die "PYTHON=$PYTHON is no Python 3.9 or later"

on_this_machine() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

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
    if on_this_machine && systemctl cat "$service" >/dev/null 2>&1; then
      # shellcheck disable=SC2086  # one word per unit
      systemctl disable --now "$service" $sockets
    fi
    if on_this_machine && systemctl cat nvidia-docker-cdi.service >/dev/null 2>&1; then
      # shellcheck disable=SC2086  # one word per unit
      systemctl disable --now $cdi
    fi
    "$PYTHON" -I "$program" uninstall
    ! on_this_machine || systemctl daemon-reload
    ;;
  *) die "usage: programs.sh install|uninstall" ;;
esac
