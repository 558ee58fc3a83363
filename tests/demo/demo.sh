#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# demo.sh: a simulated GPU host, container gpufleet-demo, provisioned and shown. DEMO_SUITE chooses its
# distribution: this machine's own by default, trixie where that is neither Debian nor Ubuntu.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
host=gpufleet-demo
inventory=$build/demo/inventory.yml

default_suite() {
  local ID VERSION_CODENAME
  . /etc/os-release
  case $ID-$VERSION_CODENAME in
    debian-bookworm | debian-trixie | ubuntu-*) echo "$VERSION_CODENAME" ;;
    *) echo trixie ;;
  esac
}

write_inventory() {
  mkdir -p "$(dirname "$inventory")"
  cat >"$inventory" <<INVENTORY
---
gpus:
  hosts:
    $host:
      ansible_connection: community.docker.docker
      ansible_python_interpreter: /usr/bin/python3
INVENTORY
}

play() { watched "ansible-playbook ${*##*/}" ansible-playbook -i "$inventory" "$@"; }

cd "$root"
PATH=$root/.venv/bin:$PATH
export ANSIBLE_HOME=$build/ansible # what ansible keeps between runs; not in this user's home
suite=${DEMO_SUITE:-$(default_suite)}

heading "Environment"
tests/tools/prepare.sh demo

heading "Host $host: a $suite container with systemd"
tests/hosts/host.sh up "$host" "$suite"
write_inventory

heading "Simulated GPUs (playbooks/simulated.yml)"
play playbooks/simulated.yml

heading "The GPUs of $host (playbooks/facts.yml)"
play playbooks/facts.yml

heading "Done. $host stays up: make demo-shell, make demo-clean"
