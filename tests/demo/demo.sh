#!/usr/bin/env bash
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016  # commands for the host keep their dollars
#
# demo.sh: a simulated GPU host, container $demo_host, provisioned and shown. DEMO_SUITE chooses its
# distribution: this machine's own by default, trixie where that is neither Debian nor Ubuntu.
# DEMO_COLLECTIONS: a folder with the installed collection, which then provisions the host instead of
# the checkout. DEMO_VENV: an environment with another ansible-core than that of .venv.
set -euo pipefail
. "$(dirname "$0")/../tools/steps.sh"
host=$demo_host
inventory=$demo_folder/inventory
playbooks=$root/playbooks

default_suite() {
  local ID VERSION_CODENAME
  . /etc/os-release
  case $ID-$VERSION_CODENAME in
    debian-bookworm | debian-trixie | ubuntu-*) echo "$VERSION_CODENAME" ;;
    *) echo trixie ;;
  esac
}

write_inventory() {
  mkdir -p "$demo_folder"
  cat >"$inventory" <<INVENTORY
---
gpus:
  hosts:
    $host:
      ansible_connection: community.docker.docker
      ansible_python_interpreter: /usr/bin/python3
      # The simulated machine has memory errors on purpose. The other one depends on the control groups
      # of the machine that the demo runs on.
      gpufleet_accepted_findings: [ecc_uncorrected, gpus_lost_on_reload]
      gpufleet_containers:
        - name: training
          image: gpufleet/cuda:8.0
          gpus: all
          command: sleep infinity
          init: true
INVENTORY
}

play() { watched "ansible-playbook ${1##*/}" ansible-playbook -i "$inventory" "$@"; }

# The checkout's ansible.cfg would lead to the checkout.
use_installed() {
  printf '[connection]\npipelining = true\n' >"$build/demo/ansible.cfg"
  export ANSIBLE_CONFIG=$build/demo/ansible.cfg ANSIBLE_COLLECTIONS_PATH=$DEMO_COLLECTIONS
  playbooks=$DEMO_COLLECTIONS/ansible_collections/gpufleet/nvidia/playbooks
}

on_host() { docker exec "$host" sh -c "$1"; }

show() {
  echo "$host# $1"
  on_host "$1"
  echo
}

unchanged() {
  local recap
  play "$1" | tee "$demo_folder/recap"
  recap=$(grep "^$host .* changed=0 .* unreachable=0 .* failed=0 " "$demo_folder/recap") ||
    die "the second run of $1 changed something"
  say "  nothing to change: ${recap#*: }"
}

cd "$root"
PATH=${DEMO_VENV:-$root/.venv}/bin:$PATH
export ANSIBLE_DISPLAY_SKIPPED_HOSTS=false
export ANSIBLE_HOME=$build/ansible # what ansible keeps between runs; not in this user's home
suite=${DEMO_SUITE:-$(default_suite)}

heading "Environment"
tests/tools/prepare.sh demo

heading "Host $host: a $suite container with systemd"
tests/hosts/host.sh up "$host" "$suite"
write_inventory
[ -z "${DEMO_COLLECTIONS:-}" ] || use_installed

heading "Simulated GPUs (playbooks/simulated.yml)"
play "$playbooks/simulated.yml"

# The image of the container is made on the host's engine, so the engine comes first.
if ! on_host 'docker image inspect gpufleet/cuda:8.0' >/dev/null 2>&1; then
  heading "The host (playbooks/site.yml, with no container declared yet)"
  play "$playbooks/site.yml" --extra-vars '{"gpufleet_containers": []}'
fi

heading "An image for the container, made from the host's own files"
play tests/hosts/gpu_image.yml

heading "The container (playbooks/site.yml)"
play "$playbooks/site.yml"

heading "A second run of playbooks/site.yml"
unchanged "$playbooks/site.yml"

heading "The GPUs of $host (playbooks/facts.yml)"
play "$playbooks/facts.yml"

heading "What runs on $host"
show 'docker exec training /usr/local/nvidia/bin/nvidia-smi -L'
show 'curl -s localhost:3476/docker/cli; echo'
show 'docker run --rm $(curl -s localhost:3476/docker/cli) gpufleet/cuda:8.0 nvidia-smi -L'
show 'NV_GPU=0 nvidia-docker run --rm gpufleet/cuda:8.0 nvidia-smi -L'

heading "Done. $host stays up: make demo-shell, make demo-clean"
