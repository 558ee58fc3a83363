#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Put the GPU facts of many hosts into one table and one page
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Reads what M(gpufleet.nvidia.nvidia_facts) has registered for each host, and returns one line for
    each GPU.
  - With O(path) it writes an HTML page that needs no network, and the facts as JSON and CSV.
  - Runs on the controller only and asks no host. A host that was not reached or has no facts is
    listed as such.
options:
  hosts:
    description: Inventory names of the hosts, in the order of the report.
    type: list
    elements: str
    required: true
  facts:
    description:
      - Name of the variable in which the result of M(gpufleet.nvidia.nvidia_facts) was registered.
      - It is read for each host. Facts of a cache are not used, since they may be old.
    type: str
    required: true
  accepted:
    description:
      - Name of the variable in which a host lists ids of findings that are known and lived with.
      - They are shown with that mark, and leave the states of the host and its GPUs as they are.
    type: str
  path:
    description:
      - Directory on the controller for C(report.html), C(facts.json) and C(facts.csv). It is made
        if it is missing; the directory around it must be there.
      - Each file is replaced whole. Without O(path) nothing is written.
    type: path
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The time of a report differs each time.
  platform:
    platforms: posix
notes:
  - Use it with C(run_once), after a task with C(ignore_unreachable) and C(ignore_errors).
seealso:
  - module: gpufleet.nvidia.nvidia_facts
"""

EXAMPLES = r"""
- name: Read the GPUs
  gpufleet.nvidia.nvidia_facts:
    gather_subset: [all]
  register: gpus_read
  ignore_errors: true
  ignore_unreachable: true

- name: Write the report
  gpufleet.nvidia.fleet_report:
    hosts: "{{ ansible_play_hosts_all }}"
    facts: gpus_read
    path: /var/www/html/gpus
  run_once: true
"""

RETURN = r"""
lines:
  description: The fleet as a table, one line for each GPU and MIG device, and a summary.
  returned: always
  type: list
  elements: str
  sample: ["HOST   GPU  MODEL", "node1    0  Tesla P100-SXM2-16GB", "1 host, 1 GPU; all well"]
files:
  description: The files that were written.
  returned: always
  type: list
  elements: str
  sample: [/var/www/html/gpus/report.html, /var/www/html/gpus/facts.json, /var/www/html/gpus/facts.csv]
"""
