#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_cdi
short_description: Write, verify or remove the CDI specification of a host's NVIDIA GPUs
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - A CDI specification tells Docker and Podman what a container gets with C(--device nvidia.com/gpu=0).
    No program of NVIDIA's is needed to write it or to start containers with it.
  - Devices are called by index, by UUID, by V(GPU:MIG) index, and V(all). A GPU that has MIG devices
    stands for all of them.
  - Containers get the driver files of the driver volume, which is made if it is missing or not right, where
    the loader of the image looks. So neither a variable nor a hook is needed, and containers still start
    after the driver's packages were upgraded.
  - On x86-64 a specification below C(/run) mounts a directory of links in C(/run/nvidia-docker-cdi), elsewhere
    each file, which takes longer at each start of a container.
  - The file is written beside and renamed, since engines read it at any time.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
options:
  state:
    description:
      - V(present) writes the specification if it is not what this host gives.
      - V(absent) removes it. What this module did not write is not touched. Links in C(/run) stay until the
        reboot, as containers may use them.
      - V(verified) changes nothing, and fails with RV(problems) if a specification is not true of this
        host. It can also be one that C(nvidia-ctk) wrote, in JSON or YAML.
    type: str
    choices: [present, absent, verified]
    default: present
  path:
    description:
      - File of the specification. It must end in C(.json) unless it is verified only.
      - The default is in a directory that is empty after a reboot, as the device numbers in a specification
        are true until then.
    type: path
    default: /var/run/cdi/nvidia.json
  devices:
    description:
      - GPUs and MIG devices that the specification has, by index, UUID or its start, PCI bus id, C(0:1), or
        V(all).
    type: list
    elements: str
    default: [all]
  kind:
    description:
      - Vendor and class of the devices.
    type: str
    default: nvidia.com/gpu
  capabilities:
    description:
      - Driver capabilities that containers get, in the words of E(NVIDIA_DRIVER_CAPABILITIES).
      - V(all) is all that the driver volume has files for.
      - V(graphics) brings the DRM nodes of a GPU, V(display) C(/dev/nvidia-modeset) too.
    type: list
    elements: str
    choices: [all, compute, utility, video, graphics, display, ngx, compat32]
    default: [all]
  cdi_version:
    description:
      - Version of CDI that the specification is of. What that version does not have is left out, see
        RV(dropped).
      - Without it, the lowest that is enough, and no more than the engines on this host take.
    type: str
    choices: ["0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0"]
  toolkit_hooks:
    description:
      - Let engines run the hooks of the NVIDIA Container Toolkit, which must be installed on the host. They
        put the libraries into the loader's cache of the container, for programs that ask C(ldconfig -p).
    type: bool
    default: false
  spec_directories:
    description:
      - Directories in which engines look for specifications, the later first. Another file there that has
        a device of this one, and keeps engines from using it, is an error.
    type: list
    elements: path
    default: [/etc/cdi, /var/run/cdi]
  volumes_path:
    description:
      - Directory of all driver volumes.
    type: path
    default: /var/lib/nvidia-docker/volumes
  driver_root:
    description:
      - Directory that holds the driver as C(/) does on an ordinary host.
    type: path
    default: /
  units:
    description:
      - systemd units that keep the specification true after this run, by their names
        C(nvidia-docker-cdi.service), C(nvidia-docker-cdi-nodes.service), C(nvidia-docker-cdi.path) and
        C(nvidia-docker-cdi.timer). All four, or none.
      - The role P(gpufleet.nvidia.nvidia_cdi#role) gives and starts them.
      - V(absent) removes them if this is given; the texts do not matter then.
    type: dict
notes:
  - Docker 26 ignores the groups that a specification adds. Containers that do not run as root need RV(groups)
    for the DRM nodes.
seealso:
  - module: gpufleet.nvidia.nvidia_driver_volume
"""

EXAMPLES = r"""
- name: Write the specification of all GPUs
  gpufleet.nvidia.nvidia_cdi:

- name: For computing only, and for Podman 4 on another host with the same GPUs
  gpufleet.nvidia.nvidia_cdi:
    capabilities: [compute, utility]
    cdi_version: 0.5.0

- name: Fail if the specification that nvidia-ctk wrote is stale
  gpufleet.nvidia.nvidia_cdi:
    state: verified
    path: /etc/cdi/nvidia.yaml

- name: Remove the specification
  gpufleet.nvidia.nvidia_cdi:
    state: absent
"""

RETURN = r"""
path:
  description: File of the specification.
  returned: always
  type: str
  sample: /var/run/cdi/nvidia.json
cdi_version:
  description: Version of CDI that the specification is of.
  returned: O(state=present) or O(state=verified)
  type: str
  sample: 0.5.0
devices:
  description: Names for C(--device).
  returned: O(state=present) or O(state=verified)
  type: list
  elements: str
  sample: [nvidia.com/gpu=0, nvidia.com/gpu=GPU-5d8a1e0a-33a1-4c4e-9d0f-4f1b0a7e1000, nvidia.com/gpu=all]
driver_version:
  description: Driver that the specification is for. Null if it does not tell.
  returned: O(state=present) or O(state=verified)
  type: str
  sample: 550.163.01
units_changed:
  description: Whether units were written that systemd has not read yet.
  returned: O(state=present)
  type: bool
units_kept:
  description: Whether systemd has the units as they are, enabled, and watches. V(true) without O(units).
  returned: O(state=present)
  type: bool
removed_units:
  description: Names of the units that were removed.
  returned: O(state=absent)
  type: list
  elements: str
  sample: [nvidia-docker-cdi.service]
groups:
  description: Numbers of the host's groups that a container needs for all device nodes if it does not run
    as root.
  returned: O(state=present)
  type: list
  elements: int
  sample: [44, 105]
left_out:
  description: GPUs, MIG devices and DRM nodes that no container can be given, each with the reason. They are
    warnings too.
  returned: O(state=present)
  type: list
  elements: str
  sample: ["GPU 1 (GPU-6e9b) is left out: it is in MIG mode and has no MIG device: make one, or leave MIG mode"]
dropped:
  description: What the CDI version does not have and the specification therefore lacks. It is a warning too if
    O(cdi_version) is not given.
  returned: O(state=present)
  type: list
  elements: str
  sample: ["the additional groups 44, 105, which need CDI 0.7.0: give them to containers that do not run as root"]
engines:
  description: Container engines on the host that were taken into account.
  returned: O(state=present) or O(state=verified)
  type: list
  elements: str
  sample: [docker 26.1.5+dfsg1, podman 5.4.2]
problems:
  description: What is not true of this host, or not there, one sentence each. Empty unless the module fails.
  returned: O(state=verified)
  type: list
  elements: str
  sample: ["/dev/nvidia-uvm, for every device: it is 511:0, the specification says 508:0: containers would get
      another device"]
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker import cdi_versions
from ..module_utils.nvidia_docker.cdi import specification
from ..module_utils.nvidia_docker.cdi.specification import Options
from ..module_utils.nvidia_docker.cdi_spec import GPU_KIND, Spec
from ..module_utils.nvidia_docker.driver_files import DriverCapability
from ..module_utils.nvidia_docker.errors import CdiError, NvidiaDockerError
from ..module_utils.nvidia_docker.host import cdi_check, cdi_store, cdi_units, volume_store
from ..module_utils.nvidia_docker.host.layout import Layout
from ..module_utils.nvidia_docker.host.owned_file import TextFile

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent", "verified"], "default": "present"},
    "path": {"type": "path", "default": cdi_store.DEFAULT_PATH},
    "devices": {"type": "list", "elements": "str", "default": list(specification.ALL)},
    "kind": {"type": "str", "default": GPU_KIND},
    "capabilities": {
        "type": "list",
        "elements": "str",
        "choices": ["all", *(one.value for one in DriverCapability)],
        "default": list(specification.ALL),
    },
    "cdi_version": {"type": "str", "choices": list(cdi_versions.VERSIONS)},
    "toolkit_hooks": {"type": "bool", "default": False},
    "spec_directories": {
        "type": "list",
        "elements": "path",
        "default": list(cdi_store.DIRECTORIES),
    },
    "volumes_path": {"type": "path", "default": volume_store.VOLUMES_ROOT},
    "driver_root": {"type": "path", "default": "/"},
    "units": {"type": "dict"},
}

Parameters = dict[str, Any]
Files = tuple[TextFile, ...]


class Unverified(CdiError):
    """A specification that is not true; ``result`` is what the module returns beside."""

    def __init__(self, sentence: str, result: dict[str, Any]) -> None:
        self.result = result
        super().__init__(sentence)


def options_of(parameters: Parameters) -> Options:
    """Return the module's options as the core has them."""
    given = {one.name: parameters[one.name] for one in fields(Options)}
    return Options(
        **{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()}
    )


def present(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after writing the specification, if it is not right."""
    options = options_of(parameters)
    layout = Layout()
    units = cdi_units.wanted(layout, parameters["units"])
    old_units = cdi_units.look(units)
    prepared = specification.prepare(options)
    if not check_mode:
        specification.write(prepared, options)
        cdi_units.write(units)
    return {
        **_described(prepared.path, prepared.spec, prepared.engines),
        "changed": prepared.changed or units != old_units,
        "units_changed": units != old_units,
        "units_kept": units == old_units and (not units or cdi_units.are_kept()),
        "groups": prepared.made.plan.groups,
        "left_out": [str(one) for one in prepared.made.plan.left_out],
        "dropped": prepared.dropped,
        "diff": [
            _diff(prepared.path, prepared.before, prepared.text),
            *_unit_diffs(old_units, units),
        ],
        "warnings": prepared.warnings,
    }


def absent(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after removing the specification and the units."""
    path = cdi_store.check_path(parameters["path"])
    before = cdi_store.ours(path)
    units = cdi_units.ours(Layout()) if parameters["units"] is not None else ()
    if not check_mode:
        cdi_units.remove(units)
        if before is not None:
            cdi_store.remove(path)
    return {
        "changed": before is not None or bool(units),
        "path": str(path),
        "removed_units": [file.path.name for file in units],
        "diff": [_diff(path, before, None), *_unit_diffs(units, ())],
    }


def verified(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result, or raise Unverified with all that is not right."""
    path = Path(parameters["path"])
    looked = specification.verify(options_of(parameters))
    result = {
        **_described(path, looked.spec, looked.engines),
        "changed": False,
        "problems": looked.problems,
    }
    if looked.problems:
        raise Unverified(
            f"the CDI specification {path} is not right: {'; '.join(looked.problems)}", result
        )
    return result


def _described(path: Path, spec: Spec, engines: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "path": str(path),
        "cdi_version": spec.version,
        "devices": [f"{spec.kind}={device.name}" for device in spec.devices],
        "driver_version": cdi_check.driver_version(spec),
        "engines": [str(engine) for engine in engines],
    }


def _unit_diffs(before: Files, after: Files) -> list[dict[str, str]]:
    old = {file.path: file.text for file in before}
    new = {file.path: file.text for file in after}
    return [
        _diff(path, old.get(path), new.get(path))
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    ]


def _diff(path: Path, before: str | None, after: str | None) -> dict[str, str]:
    return {
        "before": before or "",
        "after": after or "",
        "before_header": str(path),
        "after_header": str(path),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    states = {"present": present, "absent": absent, "verified": verified}
    try:
        result = states[module.params["state"]](module.params, module.check_mode)
    except Unverified as error:
        module.fail_json(msg=str(error), **error.result)
    except NvidiaDockerError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
