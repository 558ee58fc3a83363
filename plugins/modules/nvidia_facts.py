#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_facts
short_description: Gather facts about the NVIDIA GPUs of a host
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Reads the NVIDIA driver, its GPUs and MIG devices from NVML and returns them as facts.
  - The facts are read as C(ansible_facts.nvidia).
  - A host without GPU or driver is a fact with RV(ansible_facts.ansible_nvidia.reason) set,
    never a failure.
  - The target needs Python and the NVIDIA driver, nothing else.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.facts
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  facts:
    support: full
  platform:
    platforms: linux
notes:
  - Values that change by the second, such as temperature, are left out, so the facts can be
    cached.
  - To gather them with each play, name this module and M(ansible.builtin.setup) in the variable
    C(ansible_facts_modules).
seealso:
  - name: NVML API reference
    description: Where each value comes from.
    link: https://docs.nvidia.com/deploy/nvml-api/
"""

EXAMPLES = r"""
- name: Gather the facts of NVIDIA GPUs
  gpufleet.nvidia.nvidia_facts:

- name: Show the GPUs
  ansible.builtin.debug:
    msg: "{{ ansible_facts.nvidia.devices | map(attribute='name') }}"

- name: Put hosts with a GPU into a group
  ansible.builtin.group_by:
    key: "gpus_{{ ansible_facts.nvidia.count }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to C(ansible_facts).
  returned: always
  type: dict
  contains:
    ansible_nvidia:
      description: Read it as C(ansible_facts.nvidia).
      returned: always
      type: dict
      contains:
        count:
          description: Number of readable GPUs.
          type: int
          returned: always
          sample: 2
        reason:
          description: Why no GPU can be used; null when at least one can.
          type: str
          returned: always
          sample: the driver is loaded but reports no GPU
        driver:
          description: The NVIDIA driver.
          type: dict
          returned: always
          contains:
            version:
              description: Version of libnvidia-ml (C(nvmlSystemGetDriverVersion)).
              type: str
              returned: always
              sample: 550.163.01
            module_version:
              description: Version of the loaded kernel module (C(/sys/module/nvidia/version)).
              type: str
              returned: always
              sample: 550.163.01
            cuda_version:
              description:
                - Highest CUDA version that the driver serves
                  (C(nvmlSystemGetCudaDriverVersion_v2)).
              type: str
              returned: always
              sample: "12.4"
            nvml_version:
              description: Version of NVML (C(nvmlSystemGetNVMLVersion)).
              type: str
              returned: always
              sample: 12.550.163.01
        devices:
          description: The GPUs, in NVML order. Null means that this GPU or driver does not tell.
          type: list
          elements: dict
          returned: always
          contains:
            index:
              description: Position in NVML's list; may change at reboot.
              type: int
              returned: always
              sample: 0
            uuid:
              description: Stable name of the GPU (C(nvmlDeviceGetUUID)).
              type: str
              returned: always
              sample: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00
            minor_number:
              description:
                - The N of C(/dev/nvidiaN), which need not be the index
                  (C(nvmlDeviceGetMinorNumber)).
              type: int
              returned: always
              sample: 2
            node:
              description: Device node.
              type: str
              returned: always
              sample: /dev/nvidia2
            pci_bus_id:
              description: PCI bus id as in sysfs (C(nvmlDeviceGetPciInfo)).
              type: str
              returned: always
              sample: "0000:04:00.0"
            name:
              description: Product name (C(nvmlDeviceGetName)).
              type: str
              returned: always
              sample: Tesla P100-SXM2-16GB
            brand:
              description: Brand in the words of C(NVIDIA_REQUIRE_*) (C(nvmlDeviceGetBrand)).
              type: str
              returned: always
              sample: tesla
            memory_mib:
              description: Memory in MiB (C(nvmlDeviceGetMemoryInfo)).
              type: int
              returned: always
              sample: 16276
            compute_capability:
              description: Compute capability (C(nvmlDeviceGetCudaComputeCapability)).
              type: str
              returned: always
              sample: "6.0"
            mig_enabled:
              description: Whether MIG mode is on (C(nvmlDeviceGetMigMode)).
              type: bool
              returned: always
              sample: false
            mig_devices:
              description: MIG devices of this GPU.
              type: list
              elements: dict
              returned: always
              contains:
                uuid:
                  description: Stable name of the MIG device.
                  type: str
                  returned: always
                  sample: MIG-3d2a6f0e-6f1c-5f0e-9f8e-0c1d2e3f4a5b
                index:
                  description: Position on its GPU, the C(1) of C(0:1).
                  type: int
                  returned: always
                  sample: 1
                gpu_index:
                  description: Index of its GPU.
                  type: int
                  returned: always
                  sample: 0
                gpu_uuid:
                  description: UUID of its GPU.
                  type: str
                  returned: always
                  sample: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00
                gpu_instance_id:
                  description: GPU instance (C(nvmlDeviceGetGpuInstanceId)).
                  type: int
                  returned: always
                  sample: 3
                compute_instance_id:
                  description: Compute instance (C(nvmlDeviceGetComputeInstanceId)).
                  type: int
                  returned: always
                  sample: 0
                name:
                  description: Product name with profile.
                  type: str
                  returned: always
                  sample: NVIDIA A100-SXM4-40GB MIG 1g.5gb
                profile:
                  description: MIG profile.
                  type: str
                  returned: always
                  sample: 1g.5gb
                memory_mib:
                  description: Memory in MiB.
                  type: int
                  returned: always
                  sample: 4864
                node:
                  description: Device node of its GPU.
                  type: str
                  returned: always
                  sample: /dev/nvidia0
                capability_nodes:
                  description: Capability device nodes of the GPU instance and the compute instance.
                  type: list
                  elements: str
                  returned: always
                  sample: [/dev/nvidia-caps/nvidia-cap30, /dev/nvidia-caps/nvidia-cap31]
        unreadable:
          description: GPUs that NVML does not open or identify.
          type: list
          elements: dict
          returned: always
          contains:
            index:
              description: Position in NVML's list; null if it is not listed.
              type: int
              returned: always
              sample: 1
            pci_bus_id:
              description: PCI bus id, if NVML tells it.
              type: str
              returned: always
              sample: "0000:07:00.0"
            reason:
              description: What NVML said.
              type: str
              returned: always
              sample: "NVML can't tell the UUID: Unknown Error"
        control_nodes:
          description: Control device nodes that exist.
          type: list
          elements: str
          returned: always
          sample: [/dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia-uvm-tools]
        missing_nodes:
          description: Device nodes that the driver should have made but that are not there, or not the driver's.
          type: list
          elements: str
          returned: always
          sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker import model
from ..module_utils.nvidia_docker.host import discovery


def to_facts(host: model.Host) -> dict[str, Any]:
    """Return the host as the plain data of C(ansible_nvidia)."""
    return {
        "count": len(host.devices),
        "reason": host.reason,
        "driver": dict(vars(host.driver)),
        "devices": [
            {
                **vars(device),
                "node": device.node,
                "mig_devices": [dict(vars(mig)) for mig in device.mig_devices],
            }
            for device in host.devices
        ],
        "unreadable": [dict(vars(one)) for one in host.unreadable],
        "control_nodes": host.control_nodes,
        "missing_nodes": host.missing_nodes,
    }


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    facts = to_facts(discovery.discover())
    module.exit_json(changed=False, ansible_facts={"ansible_nvidia": facts})


if __name__ == "__main__":
    main()
