#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_verdict
short_description: Say what is wrong with GPU container hosts, and what to do
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Reads what checks have registered for each host, and returns findings. The playbook
    C(gpufleet.nvidia.verify) runs the checks and then this module.
  - Runs on the controller only and asks no host. It does not fail when there are findings.
options:
  hosts:
    description: Inventory names of the hosts.
    type: list
    elements: str
    required: true
  results:
    description:
      - Names of the variables in which the checks have registered their results. They are read for
        each host. A check that was skipped, or is not named here, is not looked at.
    type: dict
    required: true
    suboptions:
      facts:
        description: Of M(gpufleet.nvidia.nvidia_facts) with the subset C(health).
        type: str
        required: true
      driver_volume:
        description: Of M(gpufleet.nvidia.nvidia_driver_volume) with C(state=verified).
        type: str
      plugin:
        description: Of M(ansible.builtin.uri) asking the plugin for C(/docker/cli), with the content.
        type: str
      given:
        description:
          - Of M(ansible.builtin.command) in a loop over containers, printing the label
            C(io.gpufleet.nvidia.gpus) of each.
        type: str
      seen:
        description: Of M(ansible.builtin.command) in the same loop, running C(nvidia-smi -L) in each.
        type: str
  accepted:
    description:
      - Name of a variable that may list, for each host, the ids of findings that are known and lived
        with. They are in the verdict and leave a host C(ok).
    type: str
  path:
    description:
      - File on the controller for the verdict as JSON. It is replaced whole. Without it nothing is
        written.
    type: path
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The verdict is a report, no setting.
  platform:
    platforms: posix
seealso:
  - module: gpufleet.nvidia.nvidia_facts
"""

EXAMPLES = r"""
- name: Read the GPUs
  gpufleet.nvidia.nvidia_facts:
    gather_subset: [health]
  register: gpus_read
  ignore_errors: true
  ignore_unreachable: true

- name: Put the findings together
  gpufleet.nvidia.fleet_verdict:
    hosts: "{{ ansible_play_hosts_all }}"
    results:
      facts: gpus_read
  run_once: true
  register: verdict

- name: Stop at hosts that are not well
  ansible.builtin.assert:
    that: verdict.hosts[inventory_hostname].ok
"""

RETURN = r"""
ok:
  description: Whether nothing has to be done for any host.
  returned: always
  type: bool
  sample: false
hosts:
  description: By host, C(ok) and C(findings); the same is in O(path).
  returned: always
  type: dict
  sample:
    node1:
      ok: false
      findings:
        - id: driver_mismatch
          severity: critical
          accepted: false
          gpu: null
          message: the driver's libraries are 550.163.01, its loaded kernel module is 550.127.05
          fix: reboot the host, or stop what uses the GPUs and load the module again
lines:
  description:
    - One line for each finding that needs something done, C(host, what is wrong, what to do), with
      colons between. Those for information and accepted ones are in RV(hosts) only.
  returned: always
  type: list
  elements: str
  sample:
    - "node1: GPU 0000:07:00.0 waits for a reboot to retire bad memory pages: reboot the host"
"""
