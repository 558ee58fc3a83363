#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_volume
short_description: Make, verify or remove the volumes with the files of a host's NVIDIA driver
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - A driver volume holds the libraries and programs of one driver version, for containers to mount
    at C(/usr/local/nvidia). They are hard links to the host's files, or copies where the host's
    file systems allow no link.
  - The files are those that the loader's cache (C(ldconfig)) has for this driver version, or the
    usual directories where there is no cache, with the programs and the configuration files of the
    driver.
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
      - V(present) makes the volume of the host's driver, or makes it right.
      - V(absent) removes the volume of O(version).
      - V(verified) changes nothing and fails if the volume of the host's driver is missing or not
        right, with the reasons.
      - V(pruned) removes the volumes of other driver versions, except those that a container uses,
        running or not.
    type: str
    choices: [present, absent, verified, pruned]
    default: present
  version:
    description:
      - Driver version of the volume. Without it, that of the host's driver files.
      - With O(state=present) and O(state=verified) it can only be that of the host's driver.
      - With O(state=absent), V(all) is every volume, and the directory that held them; nothing is removed
        while a container uses one.
      - Not used with O(state=pruned).
    type: str
  path:
    description:
      - Directory of all driver volumes. On the file system of the driver's files they need no
        space.
    type: path
    default: /var/lib/nvidia-docker/volumes
  driver_root:
    description:
      - Directory that holds the driver as C(/) does on an ordinary host, for a driver that a
        container has installed there.
    type: path
    default: /
  capabilities:
    description:
      - Driver capabilities that the volume is for, in the words of E(NVIDIA_DRIVER_CAPABILITIES).
        A volume that is copied needs less space without V(graphics) and V(compat32).
      - V(video) brings what V(compute) has, V(display) what V(graphics) has.
    type: list
    elements: str
    choices: [all, compute, utility, video, graphics, display, ngx, compat32]
    default: [all]
  link:
    description:
      - V(auto) makes hard links where it can, else copies that share their blocks with the host's
        file (Btrfs, XFS), else plain copies. RV(link) tells.
      - V(hard) makes hard links or fails.
    type: str
    choices: [auto, hard]
    default: auto
  docker_host:
    description:
      - Socket of the Docker engine whose containers are asked for with O(state=pruned), and with
        O(state=absent) of all volumes.
    type: str
    default: unix:///var/run/docker.sock
notes:
  - With O(state=absent) of one version it is not looked whether a container uses the volume; its
    C(/usr/local/nvidia) is then empty.
  - The driver files must be of the version of the loaded kernel module. Where no module is loaded, as
    in an image that is being built, their version is that of their names.
seealso:
  - module: gpufleet.nvidia.nvidia_facts
"""

EXAMPLES = r"""
- name: Make the driver volume, or bring it up to date
  gpufleet.nvidia.nvidia_driver_volume:

- name: Make a volume for computing only, and never a copy
  gpufleet.nvidia.nvidia_driver_volume:
    capabilities: [compute, utility]
    link: hard

- name: Fail if the volume was changed by hand or lags behind the driver
  gpufleet.nvidia.nvidia_driver_volume:
    state: verified

- name: Remove the volumes of old drivers that no container uses
  gpufleet.nvidia.nvidia_driver_volume:
    state: pruned

- name: Remove all driver volumes from a host that gets other work
  gpufleet.nvidia.nvidia_driver_volume:
    version: all
    state: absent

- name: Remove the volume of an old driver
  gpufleet.nvidia.nvidia_driver_volume:
    version: 535.261.03
    state: absent
"""

RETURN = r"""
volume:
  description: Name of the Docker volume.
  returned: O(state) is not V(pruned), O(version) is not V(all)
  type: str
  sample: nvidia_driver_550.163.01
version:
  description: Driver version.
  returned: O(state) is not V(pruned), O(version) is not V(all)
  type: str
  sample: 550.163.01
mount_point:
  description: Directory of the volume on the host.
  returned: O(state) is not V(pruned), O(version) is not V(all)
  type: str
  sample: /var/lib/nvidia-docker/volumes/nvidia_driver/550.163.01
link:
  description:
    - How the files came into the volume, C(hard), C(reflink), C(copy), or C(mixed) if not all came in
      the same way.
    - Null in check mode if the volume would have to be made.
  returned: O(state=present) or O(state=verified)
  type: str
  sample: hard
files:
  description: Files and symbolic links in the volume.
  returned: O(state=present) or O(state=verified)
  type: list
  elements: str
  sample: [bin/nvidia-smi, lib64/libcuda.so, lib64/libcuda.so.1, lib64/libcuda.so.550.163.01]
firmware:
  description:
    - Firmware files of this driver on the host. They are no part of the volume, since programs do not
      look for them there.
  returned: O(state=present) or O(state=verified)
  type: list
  elements: str
  sample: [/lib/firmware/nvidia/550.163.01/gsp_ga10x.bin]
reasons:
  description: Why the volume had to be made, or made again.
  returned: O(state=present)
  type: list
  elements: str
  sample: ["lib64/libcuda.so.550.163.01 is missing"]
removed:
  description: Names of the volumes that were removed.
  returned: O(state=pruned), or O(version=all) with O(state=absent)
  type: list
  elements: str
  sample: [nvidia_driver_535.261.03]
users:
  description: Who uses each volume that is in use.
  returned: failure of O(state=absent) with O(version=all) for that reason
  type: dict
  sample:
    nvidia_driver_550.163.01: [container training, process 4242 of container 07f571dc7b14]
kept:
  description: Names of the other volumes that stay, each with what needs it.
  returned: O(state=pruned)
  type: dict
  sample:
    nvidia_driver_525.147.05: [container training]
    nvidia_driver_550.163.01: [the driver of this host]
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker.errors import (
    DriverFilesError,
    DriverVolumeError,
    InvalidInput,
    NvidiaDockerError,
)
from ..module_utils.nvidia_docker.host import (
    discovery,
    driver_candidates,
    driver_volume,
    volume_store,
    volume_users,
)
from ..module_utils.nvidia_docker.host.driver_volume import Comparison, Wanted
from ..module_utils.nvidia_docker.host.engine import Engine
from ..module_utils.nvidia_docker.injection import VOLUME_KIND, VolumeName

ARGUMENTS: dict[str, Any] = {
    "state": {
        "type": "str",
        "choices": ["present", "absent", "verified", "pruned"],
        "default": "present",
    },
    "version": {"type": "str"},
    "path": {"type": "path", "default": volume_store.VOLUMES_ROOT},
    "driver_root": {"type": "path", "default": "/"},
    "capabilities": {
        "type": "list",
        "elements": "str",
        "choices": [
            "all",
            "compute",
            "utility",
            "video",
            "graphics",
            "display",
            "ngx",
            "compat32",
        ],
        "default": ["all"],
    },
    "link": {"type": "str", "choices": ["auto", "hard"], "default": "auto"},
    "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"},
}

ALL = "all"

Parameters = dict[str, Any]


class VolumesInUse(DriverVolumeError):
    """All volumes can't be removed, as some are in use: ``users``, by volume."""

    def __init__(self, root: Path, users: dict[str, tuple[str, ...]]) -> None:
        told = (f"{volume} by {' and '.join(who)}" for volume, who in users.items())
        super().__init__(
            f"the driver volumes in {root} are in use, {'; '.join(told)}: remove these first"
        )
        self.users = users


def present(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after making the volume of the host's driver."""
    root, driver_root, wanted = _asked(parameters)
    version = _installed(parameters, driver_root)
    comparison = driver_volume.compare(root, version, driver_root, wanted)
    result: dict[str, Any] = {
        **_described(comparison, version, driver_root),
        "changed": bool(comparison.differences),
        "reasons": comparison.differences,
        "diff": _diff(comparison.path, comparison.before, comparison.after),
    }
    if comparison.differences and not check_mode:
        made = driver_volume.create(root, version, driver_root, wanted)
        result.update(link=made.link, files=made.files, warnings=made.warnings)
    return result


def verified(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result, or raise DriverVolumeError with what is not right."""
    root, driver_root, wanted = _asked(parameters)
    version = _installed(parameters, driver_root)
    comparison = driver_volume.compare(root, version, driver_root, wanted)
    if comparison.differences:
        raise DriverVolumeError(
            f"the driver volume {comparison.path} is not right: {'; '.join(comparison.differences)}"
        )
    volume_store.refuse_unsafe(comparison.path.parent)
    return {**_described(comparison, version, driver_root), "changed": False}


def absent(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after removing a volume."""
    root, driver_root, _wanted = _asked(parameters)
    if parameters["version"] == ALL:
        return _all_absent(root, parameters, check_mode)
    version = parameters["version"] or driver_volume.installed_version(driver_root, None)
    path, before = driver_volume.content(root, version)
    changed = before is not None
    if changed and not check_mode:
        changed = volume_store.remove(root, version)
    return {
        "changed": changed,
        "volume": str(VolumeName(version)),
        "version": version,
        "mount_point": str(path),
        "diff": _diff(path, before or (), ()),
    }


def _all_absent(root: Path, parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    versions = volume_store.list_volumes(root)
    used = volume_users.users(root, versions, Engine(parameters["docker_host"])) if versions else {}
    if used:
        raise VolumesInUse(root, {str(VolumeName(version)): who for version, who in used.items()})
    before = [
        f"{version}/{line}"
        for version in versions
        for line in driver_volume.content(root, version)[1] or ()
    ]
    changed = (root / VOLUME_KIND).is_dir()
    if not check_mode:
        changed = volume_store.remove_store(root)
    return {
        "changed": changed,
        "removed": [str(VolumeName(version)) for version in versions],
        "diff": _diff(root, before, ()),
    }


def pruned(parameters: Parameters, check_mode: bool) -> dict[str, Any]:
    """Return the module's result after removing the volumes that nobody needs."""
    root, driver_root, _wanted = _asked(parameters)
    versions = volume_store.list_volumes(root)
    needed: dict[str, tuple[str, ...]] = {}
    if versions:
        needed = volume_users.users(root, versions, Engine(parameters["docker_host"]))
        for version in _own(driver_root):
            needed[version] = ("the driver of this host", *needed.get(version, ()))
    going, staying = [], []
    for version in versions:
        (staying if version in needed else going).append(version)
    before = {version: driver_volume.content(root, version)[1] or () for version in versions}
    if not check_mode:
        for version in going:
            volume_store.remove(root, version)
        volume_store.sweep(root)
    return {
        "changed": bool(going),
        "removed": [str(VolumeName(version)) for version in going],
        "kept": {str(VolumeName(version)): needed[version] for version in staying},
        "diff": _diff(
            root,
            *([f"{v}/{line}" for v in some for line in before[v]] for some in (versions, staying)),
        ),
    }


def _asked(parameters: Parameters) -> tuple[Path, Path, Wanted]:
    wanted = Wanted.of(parameters["capabilities"], parameters["link"])
    return Path(parameters["path"]), Path(parameters["driver_root"]), wanted


def _installed(parameters: Parameters, driver_root: Path) -> str:
    version = driver_volume.installed_version(driver_root, discovery.module_version())
    asked = parameters["version"]
    if asked not in (None, version):
        raise InvalidInput(
            f"can't make the driver volume of version {asked}: this host's driver is {version}"
        )
    return version


def _own(driver_root: Path) -> set[str]:
    """Return the versions of this host's driver: loaded, installed, or both."""
    loaded = discovery.module_version()
    versions = {loaded} if loaded is not None else set()
    # Where no driver is installed any more, its volumes may go too.
    with suppress(DriverFilesError):
        versions.add(driver_volume.installed_version(driver_root, None))
    return versions


def _described(comparison: Comparison, version: str, driver_root: Path) -> dict[str, Any]:
    return {
        "volume": str(VolumeName(version)),
        "version": version,
        "mount_point": str(comparison.path),
        "link": comparison.link,
        "files": comparison.files,
        "firmware": driver_candidates.firmware(driver_root, version),
        "warnings": comparison.warnings,
    }


def _diff(path: Path, before: Any, after: Any) -> dict[str, str]:
    texts = {"before": before, "after": after}
    diff = {side: "".join(f"{line}\n" for line in lines) for side, lines in texts.items()}
    return {**diff, "before_header": str(path), "after_header": str(path)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    states = {"present": present, "absent": absent, "verified": verified, "pruned": pruned}
    try:
        result = states[module.params["state"]](module.params, module.check_mode)
    except VolumesInUse as error:
        module.fail_json(msg=str(error), users=error.users)
    except NvidiaDockerError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
