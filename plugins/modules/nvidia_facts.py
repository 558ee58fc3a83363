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
  - Reads the NVIDIA driver, its GPUs and MIG devices from NVML, from C(/proc) and from C(/sys), and
    returns them as facts.
  - The facts are read as C(ansible_facts.nvidia).
  - A sick host is a fact, never a failure. A host without GPU or driver has
    RV(ansible_facts.ansible_nvidia.reason) set, a GPU that does not answer is in
    RV(ansible_facts.ansible_nvidia.unreadable), and the others are told.
  - The target needs Python and the NVIDIA driver, nothing else.
options:
  gather_subset:
    description:
      - What to gather, as in M(ansible.builtin.setup). V(min) is always gathered.
      - A name with V(!) in front is left out; where only such names are given, the rest of V(all)
        is gathered. A name that is given without V(!) too is gathered, so V(!all) is V(min) alone.
      - V(min) is the driver, the device nodes and what each GPU is, without what changes by the
        second. It costs 8 NVML calls for each GPU; for one in MIG mode 8 more, and 5 for each MIG
        device.
      - V(devices) is more of each GPU that changes with a reconfiguration at most. 4 NVML calls for
        each GPU.
      - V(status) is what each GPU does now, and its settings. 20 NVML calls for each GPU.
      - V(processes) is who uses each GPU, with the container. 4 NVML calls at most for each
        GPU and MIG device, one for each process, and one file of C(/proc) for each process.
      - V(topology) is NVLink and how GPUs reach each other. 2 NVML calls for each pair of GPUs, one
        for each NVLink and 2 for each GPU.
      - V(health) is memory errors, temperatures, container toolkit, Docker and fabric manager, and
        the findings from them. 7 NVML calls for each GPU, up to two other programs that are started
        for their version, and one question to the Docker engine; with cgroup driver C(systemd) one
        more for each running container, for 5 seconds at most.
    type: list
    elements: str
    default: [devices]
  gather_timeout:
    description:
      - For how many seconds the driver may be silent. A GPU that makes it hang for longer is reported
        as unreadable.
      - After two such GPUs no more are asked.
    type: int
    default: 30
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
  - The default holds nothing that changes by the second, such as temperature, so the facts can be
    cached.
  - To gather them with each play, name this module and M(ansible.builtin.setup) in the variable
    C(ansible_facts_modules), and give options to it with the keyword C(module_defaults) of the play.
  - Set C(ansible_facts_parallel) to V(false) with it. Else Ansible runs the modules at the same time
    and ends each that takes longer than a few seconds, as on a busy host or with a driver that hangs.
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

- name: Gather what the GPUs do now and whether they are well
  gpufleet.nvidia.nvidia_facts:
    gather_subset: [status, health]

- name: Stop where something is critical
  ansible.builtin.assert:
    that: ansible_facts.nvidia.findings | selectattr('severity', 'eq', 'critical') | length == 0
    fail_msg: "{{ ansible_facts.nvidia.findings | map(attribute='message') | join('; ') }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to C(ansible_facts).
  type: dict
  returned: always
  contains:
    ansible_nvidia:
      description: Read it as C(ansible_facts.nvidia).
      type: dict
      returned: always
      contains:
        gathered:
          description: The subsets that these facts hold.
          type: list
          elements: str
          returned: always
          sample: [min, devices]
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
            module_kind:
              description:
                - C(open) or C(proprietary) (C(/proc/driver/nvidia/version)); null without a
                  loaded module.
              type: str
              returned: always
              sample: open
            libraries_match:
              description:
                - Whether the libraries are of the version of the loaded module; null if one of
                  them is unknown.
              type: bool
              returned: always
              sample: true
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
        kernel_modules:
          description: Loaded kernel modules for NVIDIA GPUs (C(/sys/module)).
          type: list
          elements: str
          returned: always
          sample: [nvidia, nvidia_modeset, nvidia_uvm]
        nouveau_loaded:
          description:
            - Whether the kernel module nouveau is loaded, which keeps the driver from the GPUs.
          type: bool
          returned: always
          sample: false
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
                  (C(/proc/driver/nvidia/gpus), else C(nvmlDeviceGetMinorNumber)).
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
            architecture:
              description: Architecture, by compute capability.
              type: str
              returned: always
              sample: Pascal
            mig_enabled:
              description: Whether MIG mode is on (C(nvmlDeviceGetMigMode)).
              type: bool
              returned: always
              sample: false
            mig_pending:
              description:
                - Whether MIG mode will be on after a reset of the GPU (C(nvmlDeviceGetMigMode));
                  null if the GPU can't do MIG.
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
            serial:
              description: Serial number of the board (C(nvmlDeviceGetSerial)).
              type: str
              returned: with subset C(devices)
              sample: "1653623000417"
            vbios:
              description: VBIOS version (C(/proc/driver/nvidia/gpus)).
              type: str
              returned: with subset C(devices)
              sample: "96.00.89.00.01"
            gsp_firmware:
              description:
                - Version of the firmware on the GPU's system processor
                  (C(/proc/driver/nvidia/gpus)); null without.
              type: str
              returned: with subset C(devices)
              sample: "570.86.15"
            cuda_cores:
              description: Number of CUDA cores (C(nvmlDeviceGetNumGpuCores)).
              type: int
              returned: with subset C(devices)
              sample: 3584
            bar1_mib:
              description:
                - Size of BAR1, the window of the CPU into the memory, in MiB
                  (C(nvmlDeviceGetBAR1MemoryInfo)).
              type: int
              returned: with subset C(devices)
              sample: 16384
            ecc_enabled:
              description: Whether ECC is on (field C(NVML_FI_DEV_ECC_CURRENT)).
              type: bool
              returned: with subset C(devices)
              sample: true
            ecc_pending:
              description: Whether ECC will be on after a reboot (field C(NVML_FI_DEV_ECC_PENDING)).
              type: bool
              returned: with subset C(devices)
              sample: true
            power_limit_default_milliwatts:
              description:
                - Power limit of the factory in mW (field C(NVML_FI_DEV_POWER_DEFAULT_LIMIT)).
              type: int
              returned: with subset C(devices)
              sample: 300000
            power_limit_min_milliwatts:
              description:
                - Lowest power limit that can be set, in mW (field
                  C(NVML_FI_DEV_POWER_MIN_LIMIT)).
              type: int
              returned: with subset C(devices)
              sample: 150000
            power_limit_max_milliwatts:
              description:
                - Highest power limit that can be set, in mW (field
                  C(NVML_FI_DEV_POWER_MAX_LIMIT)).
              type: int
              returned: with subset C(devices)
              sample: 300000
            pcie_max_generation:
              description:
                - Highest PCIe generation that GPU and slot can do (C(max_link_speed) in sysfs).
              type: int
              returned: with subset C(devices)
              sample: 3
            pcie_max_width:
              description: Most PCIe lanes that GPU and slot can do (C(max_link_width) in sysfs).
              type: int
              returned: with subset C(devices)
              sample: 16
            numa_node:
              description: NUMA node (C(numa_node) in sysfs); null if there is none.
              type: int
              returned: with subset C(devices)
              sample: 0
            cpu_affinity:
              description: CPUs that are near (C(local_cpulist) in sysfs).
              type: str
              returned: with subset C(devices)
              sample: "0-15,32-47"
            status:
              description: What the GPU does now.
              type: dict
              returned: with subset C(status)
              contains:
                gpu_utilization_percent:
                  description:
                    - Share of the time in which a kernel ran (C(nvmlDeviceGetUtilizationRates)).
                  type: int
                  returned: always
                  sample: 97
                memory_utilization_percent:
                  description:
                    - Share of the time in which memory was read or written; not how full it is
                      (C(nvmlDeviceGetUtilizationRates)).
                  type: int
                  returned: always
                  sample: 43
                encoder_utilization_percent:
                  description: Load of the video encoder (C(nvmlDeviceGetEncoderUtilization)).
                  type: int
                  returned: always
                  sample: 0
                decoder_utilization_percent:
                  description: Load of the video decoder (C(nvmlDeviceGetDecoderUtilization)).
                  type: int
                  returned: always
                  sample: 0
                memory_used_mib:
                  description:
                    - Used memory in MiB, with what the driver keeps for itself
                      (C(nvmlDeviceGetMemoryInfo)).
                  type: int
                  returned: always
                  sample: 12346
                memory_total_mib:
                  description: Memory in MiB (C(nvmlDeviceGetMemoryInfo)).
                  type: int
                  returned: always
                  sample: 16276
                bar1_used_mib:
                  description: Used part of BAR1 in MiB (C(nvmlDeviceGetBAR1MemoryInfo)).
                  type: int
                  returned: always
                  sample: 2
                temperature_celsius:
                  description: Temperature of the GPU in °C (C(nvmlDeviceGetTemperature)).
                  type: int
                  returned: always
                  sample: 61
                memory_temperature_celsius:
                  description: Temperature of the memory in °C (field C(NVML_FI_DEV_MEMORY_TEMP)).
                  type: int
                  returned: always
                  sample: 65
                power_milliwatts:
                  description: Drawn power in mW (C(nvmlDeviceGetPowerUsage)).
                  type: int
                  returned: always
                  sample: 131499
                power_limit_milliwatts:
                  description:
                    - Power limit in mW, as it is set now (C(nvmlDeviceGetPowerManagementLimit)).
                  type: int
                  returned: always
                  sample: 300000
                sm_clock_mhz:
                  description: Clock of the multiprocessors now, in MHz (C(nvmlDeviceGetClockInfo)).
                  type: int
                  returned: always
                  sample: 1328
                memory_clock_mhz:
                  description: Clock of the memory now, in MHz (C(nvmlDeviceGetClockInfo)).
                  type: int
                  returned: always
                  sample: 715
                max_sm_clock_mhz:
                  description:
                    - Highest clock of the multiprocessors, in MHz (C(nvmlDeviceGetMaxClockInfo)).
                  type: int
                  returned: always
                  sample: 1480
                max_memory_clock_mhz:
                  description: Highest clock of the memory, in MHz (C(nvmlDeviceGetMaxClockInfo)).
                  type: int
                  returned: always
                  sample: 715
                throttle_reasons:
                  description:
                    - Why the clocks are not higher
                      (C(nvmlDeviceGetCurrentClocksThrottleReasons)), of C(gpu_idle),
                      C(applications_clocks_setting), C(sw_power_cap), C(hw_slowdown),
                      C(sync_boost), C(sw_thermal_slowdown), C(hw_thermal_slowdown),
                      C(hw_power_brake_slowdown), C(display_clock_setting); other bits as
                      C(bit_N).
                  type: list
                  elements: str
                  returned: always
                  sample: [sw_power_cap]
                performance_state:
                  description: P0 is the fastest (C(nvmlDeviceGetPerformanceState)).
                  type: str
                  returned: always
                  sample: P0
                pcie_generation:
                  description:
                    - PCIe generation now; lower while idle
                      (C(nvmlDeviceGetCurrPcieLinkGeneration)).
                  type: int
                  returned: always
                  sample: 3
                pcie_width:
                  description: PCIe lanes now (C(nvmlDeviceGetCurrPcieLinkWidth)).
                  type: int
                  returned: always
                  sample: 16
                fan_percent:
                  description: Speed of the fan in % of the highest (C(nvmlDeviceGetFanSpeed)).
                  type: int
                  returned: always
                  sample: 30
                compute_mode:
                  description:
                    - Who may use the GPU, one of C(default), C(exclusive_thread), C(prohibited),
                      C(exclusive_process) (C(nvmlDeviceGetComputeMode)).
                  type: str
                  returned: always
                  sample: default
                persistence_mode:
                  description:
                    - Whether the driver stays initialised without users
                      (C(nvmlDeviceGetPersistenceMode)).
                  type: bool
                  returned: always
                  sample: true
            processes:
              description: Who uses the GPU, by process id; null if NVML does not tell.
              type: list
              elements: dict
              returned: with subset C(processes)
              contains:
                pid:
                  description: Process id on the host.
                  type: int
                  returned: always
                  sample: 4242
                name:
                  description:
                    - Name of the program (C(nvmlSystemGetProcessName)); null when it has ended
                      since.
                  type: str
                  returned: always
                  sample: python3
                type:
                  description:
                    - C(compute) (C(nvmlDeviceGetComputeRunningProcesses)) or C(graphics)
                      (C(nvmlDeviceGetGraphicsRunningProcesses)).
                  type: str
                  returned: always
                  sample: compute
                memory_mib:
                  description: GPU memory in MiB; null where the driver can't attribute it.
                  type: int
                  returned: always
                  sample: 12000
                mig_uuid:
                  description: The MIG device that it uses; null for a whole GPU.
                  type: str
                  returned: always
                  sample: MIG-3d2a6f0e-6f1c-5f0e-9f8e-0c1d2e3f4a5b
                container_id:
                  description:
                    - Identifier of the container that it runs in, by C(/proc/PID/cgroup); null
                      outside of one.
                  type: str
                  returned: always
                  sample: 5d1c33dd7e9c0b1fca0a90e5a49ba3c5b2d1a0cbb8eb57e4c6f7f0ef3c2b1a09
            topology:
              description: How the GPU is connected; null if NVML did not answer.
              type: dict
              returned: with subset C(topology)
              contains:
                nvlink:
                  description:
                    - NVLinks (C(nvmlDeviceGetNvLinkState), C(nvmlDeviceGetNvLinkVersion)); null
                      for a GPU without.
                  type: dict
                  returned: always
                  contains:
                    version:
                      description:
                        - Version of the first link, as NVML counts; null if none is active.
                      type: int
                      returned: always
                      sample: 4
                    active_links:
                      description: Number of links that are up.
                      type: int
                      returned: always
                      sample: 18
                    inactive_links:
                      description: Number of links that are not.
                      type: int
                      returned: always
                      sample: 0
                peers:
                  description: The other readable GPUs, in NVML order.
                  type: list
                  elements: dict
                  returned: always
                  contains:
                    index:
                      description: Index of the other GPU.
                      type: int
                      returned: always
                      sample: 1
                    pci_bus_id:
                      description: PCI bus id of the other GPU.
                      type: str
                      returned: always
                      sample: "0000:07:00.0"
                    link:
                      description:
                        - Nearest common ancestor in v1's numbers, 0 unknown to 6 same board
                          (C(nvmlDeviceGetTopologyCommonAncestor)).
                      type: int
                      returned: always
                      sample: 3
                    link_name:
                      description:
                        - The same in v1's words, C(Cross CPU socket), C(Same CPU socket), C(Host
                          PCI bridge), C(Multiple PCI switches), C(Single PCI switch), C(Same
                          board) or C(N/A).
                      type: str
                      returned: always
                      sample: Host PCI bridge
                    p2p:
                      description:
                        - Whether one can read the other's memory (C(nvmlDeviceGetP2PStatus));
                          null if NVML does not tell.
                      type: bool
                      returned: always
                      sample: true
            health:
              description: Whether the GPU is well.
              type: dict
              returned: with subset C(health)
              contains:
                state:
                  description: C(ok), C(warning) or C(critical), the worst of this GPU's findings.
                  type: str
                  returned: always
                  sample: ok
                ecc_corrected_volatile:
                  description:
                    - Corrected memory errors since the driver was loaded (field
                      C(NVML_FI_DEV_ECC_SBE_VOL_TOTAL)).
                  type: int
                  returned: always
                  sample: 0
                ecc_uncorrected_volatile:
                  description:
                    - Uncorrected memory errors since the driver was loaded (field
                      C(NVML_FI_DEV_ECC_DBE_VOL_TOTAL)).
                  type: int
                  returned: always
                  sample: 0
                ecc_corrected_aggregate:
                  description:
                    - Corrected memory errors in the GPU's life (field
                      C(NVML_FI_DEV_ECC_SBE_AGG_TOTAL)).
                  type: int
                  returned: always
                  sample: 12
                ecc_uncorrected_aggregate:
                  description:
                    - Uncorrected memory errors in the GPU's life (field
                      C(NVML_FI_DEV_ECC_DBE_AGG_TOTAL)).
                  type: int
                  returned: always
                  sample: 0
                retired_pages_single_bit:
                  description:
                    - Memory pages retired for repeated corrected errors (field
                      C(NVML_FI_DEV_RETIRED_SBE)).
                  type: int
                  returned: always
                  sample: 0
                retired_pages_double_bit:
                  description:
                    - Memory pages retired for an uncorrected error (field
                      C(NVML_FI_DEV_RETIRED_DBE)).
                  type: int
                  returned: always
                  sample: 0
                retired_pages_pending:
                  description:
                    - Whether pages wait for a reboot to be retired (field
                      C(NVML_FI_DEV_RETIRED_PENDING)).
                  type: bool
                  returned: always
                  sample: false
                remapped_rows_corrected:
                  description:
                    - Memory rows remapped for corrected errors (field
                      C(NVML_FI_DEV_REMAPPED_COR)).
                  type: int
                  returned: always
                  sample: 0
                remapped_rows_uncorrected:
                  description:
                    - Memory rows remapped for uncorrected errors (field
                      C(NVML_FI_DEV_REMAPPED_UNC)).
                  type: int
                  returned: always
                  sample: 0
                remapped_rows_pending:
                  description:
                    - Whether rows wait for a reset of the GPU to be remapped (field
                      C(NVML_FI_DEV_REMAPPED_PENDING)).
                  type: bool
                  returned: always
                  sample: false
                remapped_rows_failed:
                  description:
                    - Whether remapping has failed, as no spare row is left (field
                      C(NVML_FI_DEV_REMAPPED_FAILURE)).
                  type: bool
                  returned: always
                  sample: false
                temperature_celsius:
                  description: Temperature of the GPU in °C (C(nvmlDeviceGetTemperature)).
                  type: int
                  returned: always
                  sample: 61
                temperature_slowdown_celsius:
                  description:
                    - Where the GPU slows down, in °C (C(nvmlDeviceGetTemperatureThreshold)).
                  type: int
                  returned: always
                  sample: 89
                temperature_shutdown_celsius:
                  description:
                    - Where the GPU shuts down, in °C (C(nvmlDeviceGetTemperatureThreshold)).
                  type: int
                  returned: always
                  sample: 92
                throttle_reasons:
                  description: As in C(status).
                  type: list
                  elements: str
                  returned: always
                  sample: []
                persistence_mode:
                  description: As in C(status).
                  type: bool
                  returned: always
                  sample: true
                pcie_width:
                  description: PCIe lanes now (C(current_link_width) in sysfs).
                  type: int
                  returned: always
                  sample: 16
                fabric_state:
                  description:
                    - NVLink fabric, one of C(not_supported), C(not_started), C(in_progress),
                      C(completed) (C(nvmlDeviceGetGpuFabricInfo)).
                  type: str
                  returned: always
                  sample: completed
                errors:
                  description: Questions that NVML refused with an error, and what it said.
                  type: list
                  elements: str
                  returned: always
                  sample: ["temperature: GPU is lost"]
                fabric_error:
                  description:
                    - NVML's error code of the fabric; 0 is none, null before it is completed.
                  type: int
                  returned: always
                  sample: 0
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
          description:
            - Device nodes that the driver should have made but that are not there, or not the
              driver's.
          type: list
          elements: str
          returned: always
          sample: []
        device_nodes:
          description: Device nodes that there are or should be, control nodes first.
          type: list
          elements: dict
          returned: always
          contains:
            path:
              description: Path.
              type: str
              returned: always
              sample: /dev/nvidia0
            state:
              description: C(present), C(missing), or C(wrong) for one that is not the driver's.
              type: str
              returned: always
              sample: present
            owner:
              description: User id of the owner; null if missing.
              type: int
              returned: always
              sample: 0
            group:
              description: Group id; null if missing.
              type: int
              returned: always
              sample: 0
            mode:
              description: Permissions, octal; null if missing.
              type: str
              returned: always
              sample: "0666"
            major:
              description: Major number; null if missing or no device node.
              type: int
              returned: always
              sample: 195
            minor:
              description: Minor number; null if missing or no device node.
              type: int
              returned: always
              sample: 0
        container_toolkit:
          description: NVIDIA Container Toolkit; null if it is not installed.
          type: dict
          returned: with subset C(health)
          contains:
            version:
              description:
                - Its version (C(nvidia-ctk --version) or C(nvidia-container-cli --version)).
              type: str
              returned: always
              sample: 1.17.7
            vulnerabilities:
              description: What NVIDIA's security bulletins say of this version.
              type: list
              elements: dict
              returned: always
              contains:
                id:
                  description: CVE number.
                  type: str
                  returned: always
                  sample: CVE-2025-23266
                score:
                  description: CVSS base score that NVIDIA gave.
                  type: float
                  returned: always
                  sample: 9.0
                fixed_in:
                  description: First version that is not vulnerable.
                  type: str
                  returned: always
                  sample: 1.17.8
                published:
                  description: Day on which NVIDIA told of it.
                  type: str
                  returned: always
                  sample: "2025-07-15"
                source:
                  description: NVIDIA's security bulletin.
                  type: str
                  returned: always
                  sample: https://nvidia.custhelp.com/app/answers/detail/a_id/5659
            bulletins_read:
              description: Day until which NVIDIA's bulletins are known here.
              type: str
              returned: always
              sample: "2026-08-18"
        docker:
          description: The Docker engine; null if none answers.
          type: dict
          returned: with subset C(health)
          contains:
            version:
              description: Version of the engine.
              type: str
              returned: always
              sample: 26.1.5
            cgroup_driver:
              description: C(systemd) or C(cgroupfs).
              type: str
              returned: always
              sample: systemd
            cgroup_version:
              description: Version of control groups.
              type: str
              returned: always
              sample: "2"
            default_runtime:
              description: Default runtime of containers.
              type: str
              returned: always
              sample: runc
            containers_at_risk:
              description:
                - Running containers that lose their GPUs with C(systemctl daemon-reload). That is so
                  with cgroup driver C(systemd) where NVIDIA's hook gives the GPUs (C(--gpus), runtime
                  C(nvidia)) and the container names no device node, and where runc has not told
                  systemd of the nodes that it names (C(/run/systemd/transient)).
              type: list
              elements: str
              returned: always
              sample: [notebook]
            loses_gpus_on_reload:
              description: Whether there is such a container.
              type: bool
              returned: always
              sample: true
            missing_char_links:
              description:
                - Device nodes without a link below C(/dev/char). Of these runc 1.1.5, as in Debian
                  12, tells systemd nothing.
              type: list
              elements: str
              returned: always
              sample: [/dev/nvidia0, /dev/nvidiactl]
        fabric_manager:
          description: NVIDIA Fabric Manager; null if it is neither installed nor needed.
          type: dict
          returned: with subset C(health)
          contains:
            version:
              description: Its version (C(nv-fabricmanager --version)); null if it is not installed.
              type: str
              returned: always
              sample: 570.86.15
            running:
              description: Whether it runs.
              type: bool
              returned: always
              sample: true
            nvswitches:
              description:
                - Number of NVSwitches that the kernel drives
                  (C(/proc/driver/nvidia-nvswitch/devices)).
              type: int
              returned: always
              sample: 4
        persistenced_running:
          description: Whether nvidia-persistenced runs.
          type: bool
          returned: with subset C(health)
          sample: true
        findings:
          description: What is wrong, worst first; empty on a host that is well.
          type: list
          elements: dict
          returned: with subset C(health)
          contains:
            id:
              description:
                - What it is, one of C(driver_unusable), C(driver_mismatch), C(nouveau_loaded),
                  C(gpu_unreadable), C(gpu_errors), C(device_node_missing), C(mig_mode_pending),
                  C(mig_without_devices), C(ecc_mode_pending), C(ecc_uncorrected),
                  C(row_remapping_failed), C(row_remapping_pending), C(retired_pages_pending),
                  C(overheated), C(slowed_down), C(pcie_narrow), C(fabric_not_ready),
                  C(fabric_manager_stopped), C(fabric_manager_version), C(persistence_off),
                  C(toolkit_vulnerable), C(gpus_lost_on_reload).
              type: str
              returned: always
              sample: gpu_unreadable
            severity:
              description:
                - C(critical), that GPUs can't be used or give wrong results; C(warning), that
                  they will or may be; C(info).
              type: str
              returned: always
              sample: critical
            gpu:
              description: PCI bus id of the GPU, else its index; null if it is the host.
              type: str
              returned: always
              sample: "0000:07:00.0"
            message:
              description: What is wrong, one sentence.
              type: str
              returned: always
              sample: "GPU 0000:07:00.0 can't be read, NVML says Unknown Error"
            fix:
              description: What to do, one sentence.
              type: str
              returned: always
              sample: Reset the GPU with nvidia-smi --gpu-reset, or reboot the host.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker.errors import InvalidInput
from ..module_utils.nvidia_docker.host import gather
from ..module_utils.nvidia_docker.render import facts
from ..module_utils.nvidia_docker.subsets import chosen

ARGUMENT_SPEC = {
    "gather_subset": {"type": "list", "elements": "str", "default": ["devices"]},
    "gather_timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    patience_s = module.params["gather_timeout"]
    try:
        subsets = chosen(module.params["gather_subset"])
        if patience_s < 1:
            raise InvalidInput(f"gather_timeout {patience_s} must be 1 second or more")
    except InvalidInput as error:
        module.fail_json(msg=str(error))
    told = facts.render(gather.gather(subsets, patience_s))
    module.exit_json(changed=False, ansible_facts={"ansible_nvidia": told})


if __name__ == "__main__":
    main()
