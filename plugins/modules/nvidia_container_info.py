#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container_info
short_description: Tell which containers use which NVIDIA GPUs
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Lists the containers that M(gpufleet.nvidia.nvidia_container) has made, running or not, with the GPUs
    that they were given, and tells which run with an older driver's files or with a GPU that is gone.
  - Lists the GPUs and MIG devices of the host with the containers and compute processes that use them, and
    tells which are free.
options:
  docker_host:
    description:
      - Socket of the Docker engine, in the form C(unix:///path). Engines of other machines are
        refused, since their GPUs are not this host's.
      - The default is taken from the variable E(DOCKER_HOST) of the host, if it is set there.
    type: str
    default: unix:///var/run/docker.sock
    aliases: [docker_url]
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  platform:
    platforms: linux
requirements:
  - "on the host: Docker engine and client"
notes:
  - To see which driver's files a container has mounted, and the names of other users' processes, the task
    has to be root's.
seealso:
  - module: gpufleet.nvidia.nvidia_cdi
  - module: gpufleet.nvidia.nvidia_container
  - module: gpufleet.nvidia.nvidia_facts
"""

EXAMPLES = r"""
- name: See who uses the GPUs
  gpufleet.nvidia.nvidia_container_info:
  register: usage

- name: Show how many GPUs are free
  ansible.builtin.debug:
    msg: "{{ usage.gpus | selectattr('free') | length }} GPUs are free"

- name: Restart, one by one, the containers that run with an older driver's files
  community.docker.docker_container:
    name: "{{ item.name }}"
    comparisons:
      "*": ignore
    restart: true
  loop: "{{ usage.containers | selectattr('stale') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Fail if a container runs with a GPU that is gone
  ansible.builtin.assert:
    that: usage.containers | selectattr('status', 'eq', 'running') | selectattr('gone') | length == 0
"""

RETURN = r"""
containers:
  description: The containers, in the order of their names.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name.
      type: str
      returned: always
      sample: trainer
    id:
      description: Identifier.
      type: str
      returned: always
      sample: 3b812f0c01d7a0f4d6d0a7e3b2c5c1f0e9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4
    status:
      description: V(created), V(running), V(paused), V(restarting), V(removing), V(exited) or V(dead).
      type: str
      returned: always
      sample: running
    gpus:
      description: UUIDs of the GPUs and MIG devices that it was given.
      type: list
      elements: str
      returned: always
      sample: [GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00]
    gone:
      description: Those of RV(containers[].gpus) that the host does not have any more, or that NVML can't read.
      type: list
      elements: str
      returned: always
      sample: []
    injection:
      description:
        - How its GPUs come into it, V(driver_volume), V(cdi), V(device_request) or V(runtime), as in
          O(gpufleet.nvidia.nvidia_container#module:injection). Null if it was given no GPU.
      type: str
      returned: always
      sample: driver_volume
    sharing:
      description: V(exclusive), V(shared) or V(named), as M(gpufleet.nvidia.nvidia_container) returns it.
      type: str
      returned: always
      sample: exclusive
    driver:
      description:
        - Version of the driver whose files it has mounted, by whichever kind of injection. Null if it does
          not run, or has none.
      type: str
      returned: always
      sample: 550.163.01
    stale:
      description:
        - Whether RV(containers[].driver) is not the loaded driver. A restart mends it; with CDI the
          specification has to be made anew before, see M(gpufleet.nvidia.nvidia_cdi).
      type: bool
      returned: always
      sample: false
gpus:
  description: The GPUs, those in MIG mode replaced by their MIG devices, in NVML order.
  type: list
  elements: dict
  returned: success
  contains:
    uuid:
      description: UUID.
      type: str
      returned: always
      sample: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00
    index:
      description: Index, of a MIG device the GPU's and its own.
      type: str
      returned: always
      sample: "0:1"
    containers:
      description: Names of those of RV(containers) that were given it.
      type: list
      elements: str
      returned: always
      sample: [trainer]
    processes:
      description: What computes on it. Null if the GPU does not tell.
      type: list
      elements: dict
      returned: always
      contains:
        pid:
          description: Process identifier on the host.
          type: int
          returned: always
          sample: 4242
        name:
          description: Name, null if it is not to be seen.
          type: str
          returned: always
          sample: python3
        container:
          description: Name of the container that it runs in, whoever made that. Null if in none.
          type: str
          returned: always
          sample: trainer
    leases:
      description: Names of containers that are being made with it, by a number in C(gpus).
      type: list
      elements: str
      returned: always
      sample: []
    free:
      description: Whether a number in C(gpus) of M(gpufleet.nvidia.nvidia_container) could choose it.
      type: bool
      returned: always
      sample: true
driver:
  description: Version of the loaded driver, null without one.
  type: str
  returned: success
  sample: 550.163.01
reason:
  description: Why no GPU can be used; null when at least one can.
  type: str
  returned: success
  sample: the driver is loaded but reports no GPU
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..module_utils.nvidia_docker.errors import NvidiaDockerError
from ..module_utils.nvidia_docker.host import discovery, usage
from ..module_utils.nvidia_docker.host.engine import Engine
from ..module_utils.nvidia_docker.host.leases import Leases

ARGUMENT_SPEC = {
    "docker_host": {
        "type": "str",
        "default": "unix:///var/run/docker.sock",
        "aliases": ["docker_url"],
        "fallback": (env_fallback, ["DOCKER_HOST"]),
    },
}


def look(docker_host: str) -> dict[str, Any]:
    """Return what the module returns. Raises NvidiaDockerError."""
    host = discovery.discover()
    found = usage.look(host, Engine(docker_host), Leases())
    return {**asdict(found), "driver": usage.loaded_driver(host), "reason": host.reason}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        found = look(module.params["docker_host"])
    except NvidiaDockerError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
