#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_volume
short_description: Make or remove the volume with the files of a host's NVIDIA driver
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - A driver volume holds the libraries and programs of one driver version, for containers to mount
    at C(/usr/local/nvidia). They are hard links to the host's files, or copies where the host's
    file systems allow no link.
  - The files are those that the loader's cache (C(ldconfig)) and the usual directories of programs
    have for this driver version.
  - An existing volume is compared with its manifest and with the host's files, and is made again
    if it is not right. Running containers see the new files.
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
      - Whether the volume has to be there.
    type: str
    choices: [present, absent]
    default: present
  version:
    description:
      - Driver version of the volume. Without it, that of the host's driver.
      - With O(state=present) it can only be that of the host's driver.
    type: str
  path:
    description:
      - Directory of all driver volumes. On the file system of the driver's files they need no
        space.
    type: path
    default: /var/lib/nvidia-docker/volumes
notes:
  - With O(state=absent) it is not looked whether a container uses the volume; its C(/usr/local/nvidia)
    is then empty.
seealso:
  - module: gpufleet.nvidia.nvidia_facts
"""

EXAMPLES = r"""
- name: Make the driver volume, or bring it up to date
  gpufleet.nvidia.nvidia_driver_volume:

- name: Remove the volume of an old driver
  gpufleet.nvidia.nvidia_driver_volume:
    version: 535.261.03
    state: absent
"""

RETURN = r"""
volume:
  description: Name of the Docker volume.
  returned: success
  type: str
  sample: nvidia_driver_550.163.01
version:
  description: Driver version.
  returned: success
  type: str
  sample: 550.163.01
mount_point:
  description: Directory of the volume on the host.
  returned: success
  type: str
  sample: /var/lib/nvidia-docker/volumes/nvidia_driver/550.163.01
link:
  description:
    - How the files came into the volume, C(hard), C(copy), or C(mixed) if only some could be linked.
    - Null in check mode if the volume would have to be made.
  returned: O(state=present)
  type: str
  sample: hard
files:
  description: Files and symbolic links in the volume.
  returned: O(state=present)
  type: list
  elements: str
  sample: [bin/nvidia-smi, lib64/libcuda.so, lib64/libcuda.so.1, lib64/libcuda.so.550.163.01]
reasons:
  description: Why the volume had to be made, or made again.
  returned: O(state=present)
  type: list
  elements: str
  sample: ["lib64/libcuda.so.550.163.01 is missing"]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker.errors import InvalidInput, NvidiaDockerError
from ..module_utils.nvidia_docker.host import discovery, driver_volume
from ..module_utils.nvidia_docker.injection import VolumeName


def present(root: Path, asked: str | None, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after making the volume of the host's driver."""
    version = discovery.require_driver(discovery.discover())
    if asked is not None and asked != version:
        raise InvalidInput(
            f"can't make the driver volume of version {asked}: this host's driver is {version}"
        )
    comparison = driver_volume.compare(root, version)
    result: dict[str, Any] = {
        "changed": bool(comparison.differences),
        "version": version,
        "mount_point": str(comparison.path),
        "link": comparison.link,
        "files": comparison.files,
        "reasons": comparison.differences,
        "warnings": comparison.warnings,
        "diff": _diff(comparison.path, comparison.before, comparison.after),
    }
    if comparison.differences and not check_mode:
        made = driver_volume.create(root, version)
        result.update(link=made.link, files=made.files, warnings=made.warnings)
    return result


def absent(root: Path, asked: str | None, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after removing a volume."""
    version = discovery.require_driver(discovery.discover()) if asked is None else asked
    path, before = driver_volume.content(root, version)
    changed = before is not None
    if changed and not check_mode:
        changed = driver_volume.remove(root, VolumeName(version))
    return {
        "changed": changed,
        "version": version,
        "mount_point": str(path),
        "diff": _diff(path, before or (), ()),
    }


def _diff(path: Path, before: tuple[str, ...], after: tuple[str, ...]) -> dict[str, str]:
    texts = {"before": before, "after": after}
    diff = {side: "".join(f"{line}\n" for line in lines) for side, lines in texts.items()}
    return {**diff, "before_header": str(path), "after_header": str(path)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "version": {"type": "str"},
            "path": {"type": "path", "default": driver_volume.VOLUMES_ROOT},
        },
        supports_check_mode=True,
    )
    act = {"present": present, "absent": absent}[module.params["state"]]
    try:
        result = act(Path(module.params["path"]), module.params["version"], module.check_mode)
    except NvidiaDockerError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(volume=str(VolumeName(result["version"])), **result)


if __name__ == "__main__":
    main()
