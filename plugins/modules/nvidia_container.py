#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container
short_description: Manage a Docker container that uses NVIDIA GPUs
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Manages a container with M(community.docker.docker_container) and gives it GPUs of the host
    that it runs on, as device nodes, with the driver volume mounted read-only at
    C(/usr/local/nvidia).
  - The GPUs are read from NVML on the host when the task runs. The image is refused if it demands
    more than the host's driver offers; a running container then stays as it is.
  - Takes every option of M(community.docker.docker_container) and passes it on. Those that are
    listed here are read by this module too and mean the same.
  - "The container has exactly the GPUs that O(gpus) names: one GPU more or less than before, and
    the container is recreated, whatever C(comparisons) says. Devices, mounts, variables and labels of
    your own are compared as M(community.docker.docker_container) compares them."
  - An image whose E(PATH) or E(LD_LIBRARY_PATH) does not name the driver volume, and that has no label
    C(com.nvidia.volumes.needed), gets that variable with the directories of the volume before its
    own; a variable that is in C(env) stays as it is there.
  - Another driver version is no reason to recreate a container, it gets the driver volume of the
    loaded driver at each start. One that still runs with an older driver's files is restarted.
  - What is injected is recorded in labels whose names begin with C(io.gpufleet.nvidia.).
options:
  gpus:
    description:
      - GPUs that the container gets.
      - V(all) or a list of identifiers, each an index, a UUID or the start of one, a PCI bus id, or
        GPU index and MIG index as in V(0:1). Quote the last ones, YAML reads some as numbers.
      - A GPU in MIG mode stands for all its MIG devices.
      - "A number alone, not in a list: so many GPUs, for this container exclusively. They are chosen
        in NVML order from those that no other container of this module has, running or not, and
        that no process computes on. What the container has already it keeps. Where fewer are free
        the task fails and says who uses them."
      - A number counts GPUs that offer what the image demands. On a host whose GPUs are all in MIG mode it
        counts MIG devices, elsewhere it passes over those that are in MIG mode.
      - GPUs that are named are given whoever uses them. They are not free for a number then, unless
        O(shared=true).
      - V(none), or an empty list, injects nothing and needs no driver. V(0) is refused, as it may be meant
        as an index.
    type: raw
    default: all
  shared:
    description:
      - The GPUs of this container may be used by others too, for example as it watches them only.
      - They stay free for a number in O(gpus) of other tasks, as long as the container computes nothing on
        them.
      - With a number, GPUs are chosen of which no container that is not shared has one, those with the
        fewest shared containers first.
    type: bool
    default: false
  name:
    description:
      - Name of the container.
    type: str
    required: true
  image:
    description:
      - Image of the container. Without it an existing container keeps its image.
    type: str
  state:
    description:
      - With V(absent) no GPU is looked at.
      - With V(stopped) an existing container is stopped as it is. Its configuration is not compared
        then, unless O(recreate=true).
    type: str
    choices: [absent, present, healthy, started, stopped]
    default: started
  pull:
    description:
      - When to pull the image.
      - In check mode nothing is pulled, so what an absent image demands is not checked.
    type: str
    choices: [never, missing, always]
    default: missing
  platform:
    description:
      - Platform of the image, in the form C(os[/arch[/variant]]).
    type: str
  recreate:
    description:
      - Recreate the container even if nothing differs.
    type: bool
    default: false
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
  - ansible.builtin.action_common_attributes.conn
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  become:
    support: full
  bypass_host_loop:
    support: none
  check_mode:
    support: partial
    details:
      - What an absent image demands is not checked, RV(nvidia.requirements) says so.
      - On a host that has no Docker or no volume driver yet, a container would be made and nothing
        else is checked.
      - As with M(community.docker.docker_container), an image that is there is taken for the latest, and
        a change of nothing but limits or the restart policy is not predicted.
  connection:
    support: full
  delegation:
    support: full
    details: The GPUs are those of the host that the task is delegated to.
  diff_mode:
    support: full
  platform:
    platforms: linux
requirements:
  - "on the controller: collection community.docker 4.8.0 or newer"
  - "on the host: Docker engine and client, python3-requests, and the volume driver nvidia-docker (role
    gpufleet.nvidia.nvidia_docker)"
notes:
  - Defaults set with C(module_defaults) for M(community.docker.docker_container) or its action group do
    not apply; set them for this module or for C(group/gpufleet.nvidia.nvidia).
  - Each task runs two modules on the host, the plan and M(community.docker.docker_container).
  - A container keeps its exclusive GPUs until it is removed, as it can be started at any time. A batch
    job gives them back when it ends with C(cleanup=true) and C(detach=false), or C(auto_remove=true).
  - "From the choice until the container is made a lease holds the GPUs: a file in
    C(/run/nvidia-docker/leases), written under a lock, so that of two plays at once none gets the
    other's GPUs. So a number in O(gpus) needs root. The lease of a play that was killed expires after
    ten minutes. Check mode writes none."
  - Containers that were not made by this module, and those of another engine, are seen by their
    compute processes only.
seealso:
  - module: community.docker.docker_container
  - module: gpufleet.nvidia.nvidia_container_info
  - module: gpufleet.nvidia.nvidia_facts
"""

EXAMPLES = r"""
- name: Run a service on two GPUs
  gpufleet.nvidia.nvidia_container:
    name: inference
    image: registry.example.com/inference:2
    gpus: [0, 1]
    env:
      MODEL: small
    volumes:
      - /srv/models:/models:ro
    published_ports:
      - "8000:8000"
    restart_policy: unless-stopped

- name: Train on one GPU, named by its UUID
  gpufleet.nvidia.nvidia_container:
    name: trainer
    image: registry.example.com/trainer:5
    gpus: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00
    command: [python3, train.py]
    detach: false

- name: Train on two GPUs that nobody else uses
  gpufleet.nvidia.nvidia_container:
    name: trainer
    image: registry.example.com/trainer:5
    gpus: 2

- name: Watch all GPUs, which stay free for others
  gpufleet.nvidia.nvidia_container:
    name: exporter
    image: registry.example.com/exporter:3
    gpus: all
    shared: true

- name: Give a MIG device to a notebook
  gpufleet.nvidia.nvidia_container:
    name: notebook
    image: registry.example.com/notebook:1
    gpus: "0:1"

- name: Remove the notebook
  gpufleet.nvidia.nvidia_container:
    name: notebook
    state: absent
"""

RETURN = r"""
container:
  description: The container as M(community.docker.docker_container) returns it.
  type: dict
  returned: when O(state) is not V(absent)
nvidia:
  description: What the container gets.
  type: dict
  returned: unless the container is only stopped or removed
  contains:
    gpus:
      description: UUIDs of the GPUs and MIG devices, in NVML order.
      type: list
      elements: str
      returned: always
      sample: [GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00]
    sharing:
      description:
        - V(exclusive) if the GPUs were asked for by number, V(shared) with O(shared=true), else
          V(named).
      type: str
      returned: always
      sample: named
    devices:
      description: Device nodes.
      type: list
      elements: str
      returned: always
      sample: [/dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia0]
    volume:
      description: The driver volume, null if none is mounted.
      type: str
      returned: always
      sample: nvidia_driver
    driver:
      description: Version of the driver, null if no GPU is given.
      type: str
      returned: always
      sample: 550.163.01
    requirements:
      description: Whether the host offers what the image demands.
      type: str
      returned: always
      sample: met
    differences:
      description: In what the container, as it was before, differed from this.
      type: list
      elements: str
      returned: always
      sample: [GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00 removed]
"""

import importlib.util
import sys
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..module_utils.nvidia_docker import allocation, image_environment, injection, requirement
from ..module_utils.nvidia_docker.allocation import Wanted
from ..module_utils.nvidia_docker.container_labels import EXCLUSIVE, NAMED, SHARED
from ..module_utils.nvidia_docker.errors import (
    DockerError,
    DriverUnavailable,
    InvalidInput,
    NotInstalled,
    NvidiaDockerError,
)
from ..module_utils.nvidia_docker.host import discovery, volume_users
from ..module_utils.nvidia_docker.host.engine import Container, Engine, require_volume_driver
from ..module_utils.nvidia_docker.host.gpu_choice import GpuChoice
from ..module_utils.nvidia_docker.host.leases import Leases
from ..module_utils.nvidia_docker.injection import STABLE_NAME, Injection
from ..module_utils.nvidia_docker.model import Host
from ..module_utils.nvidia_docker.render import docker_container
from ..module_utils.nvidia_docker.requirement import Image
from ..module_utils.nvidia_docker.selection import ALL, NONE, Selected, select

ARGUMENT_SPEC = {
    "gpus": {"type": "raw", "default": ALL},
    "shared": {"type": "bool", "default": False},
    "name": {"type": "str", "required": True},
    "image": {"type": "str"},
    "state": {
        "type": "str",
        "choices": ["absent", "present", "healthy", "started", "stopped"],
        "default": "started",
    },
    "pull": {"type": "str", "choices": ["never", "missing", "always"], "default": "missing"},
    "platform": {"type": "str"},
    "recreate": {"type": "bool", "default": False},
    "docker_host": {
        "type": "str",
        "default": "unix:///var/run/docker.sock",
        "aliases": ["docker_url"],
        "fallback": (env_fallback, ["DOCKER_HOST"]),
    },
}


@dataclass(frozen=True)
class Given:
    """What the container gets of this host."""

    host: Host | None
    devices: tuple[Selected, ...]
    injection: Injection
    sharing: str

    @property
    def driver(self) -> str | None:
        return self.host.driver.version if self.host else None


def plan(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return what the action needs to run docker_container.

    ``options``: of docker_container, to be merged with the user's; ``overrides``: to replace the
    user's; ``lease``: a file to be deleted when docker_container has ended, or None. Raises
    NvidiaDockerError; nothing but a pulled image is changed then.
    """
    _require_requests()
    engine = Engine(parameters["docker_host"])
    container = engine.container(parameters["name"])
    if parameters["state"] == "absent":
        return {"changed": False, "overrides": {}}
    if parameters["state"] == "stopped" and container and not parameters["recreate"]:
        return {"changed": False, "overrides": {"comparisons": {"*": "ignore"}}}
    reference = parameters["image"] or (container.image if container else None)
    if reference is None:
        raise InvalidInput(f"there is no container {parameters['name']!r} yet: give its 'image'")
    wanted = allocation.read(parameters["gpus"])
    host = _host(wanted)
    image = engine.image(reference)
    # docker_container takes a container's identifier for its name.
    name = container.name if container else parameters["name"]
    choice = _choice(host, wanted, engine, name, parameters["shared"])
    devices = choice.look(image) if choice else _named(host, wanted)
    sharing = _sharing(wanted, devices, parameters["shared"])
    # What is in the way is told before the image is pulled.
    given = _give(host, devices, sharing)
    image, pulled = _pulled(engine, reference, image, parameters, check_mode)
    if choice is None or check_mode:
        return {**_plan(given, container, image, pulled, wanted, check_mode), "lease": None}
    devices, lease = choice.take(image)
    try:
        given = _give(host, devices, sharing)
        planned = _plan(given, container, image, pulled, wanted, check_mode)
    except NvidiaDockerError:
        choice.leases.end(lease)
        raise
    return {**planned, "lease": str(lease)}


def _plan(
    given: Given,
    container: Container | None,
    image: Image | None,
    pulled: bool,
    wanted: Wanted,
    check_mode: bool,
) -> dict[str, Any]:
    if image and given.host:
        requirement.check(image, given.host, given.devices)
    injected = image_environment.complete(given.injection, image) if image else given.injection
    options = docker_container.options(injected, given.devices, given.sharing)
    overrides: dict[str, Any] = {} if check_mode else {"pull": "never"}
    found: tuple[str, ...] = ()
    if container:
        found = docker_container.differences(container.labels, options["labels"])
        overrides.update({"recreate": True} if found else {})
    if container and not found:
        found = _outdated(container, given.driver)
        overrides.update({"restart": True} if found else {})
    return {
        "changed": pulled,
        "options": options,
        "overrides": overrides,
        "nvidia": {
            "gpus": [device.uuid for device in given.devices],
            "sharing": given.sharing,
            "devices": given.injection.device_nodes,
            "volume": next((mount.volume for mount in given.injection.mounts), None),
            "driver": given.driver,
            "requirements": "met" if image else "not checked: image not present",
            "differences": found,
        },
        "warnings": _unreadable(given.host, wanted),
    }


def _require_requests() -> None:
    # docker_container would say so too, but only after the image was pulled.
    if importlib.util.find_spec("requests") is None:
        raise NotInstalled(
            f"{sys.executable} on this host has no module requests, which community.docker needs: "
            "apply role gpufleet.nvidia.docker, or install package python3-requests"
        )


def _host(wanted: Wanted) -> Host | None:
    """Return this host, None if no GPU is wanted."""
    if wanted in ((), (NONE,)):
        return None
    host = discovery.discover()
    discovery.require_driver(host)
    if not host.devices:
        told = str(wanted) if isinstance(wanted, int) else ", ".join(wanted)
        raise DriverUnavailable(f"gpus: {told}: no GPU to give: {host.reason}")
    return host


def _choice(
    host: Host | None, wanted: Wanted, engine: Engine, name: str, shared: bool
) -> GpuChoice | None:
    if host is None or not isinstance(wanted, int):
        return None
    return GpuChoice(host, engine, Leases(), name, wanted, shared)


def _named(host: Host | None, wanted: Wanted) -> tuple[Selected, ...]:
    if host is None or isinstance(wanted, int):
        return ()
    return select(host, wanted)


def _sharing(wanted: Wanted, devices: tuple[Selected, ...], shared: bool) -> str:
    if not devices:
        return NAMED
    return SHARED if shared else EXCLUSIVE if isinstance(wanted, int) else NAMED


def _give(host: Host | None, devices: tuple[Selected, ...], sharing: str) -> Given:
    if host is None:
        return Given(None, (), Injection(), sharing)
    planned = injection.plan(host, devices, STABLE_NAME)
    for mount in planned.mounts:
        require_volume_driver(mount.volume_driver)
    return Given(host, devices, planned, sharing)


def _outdated(container: Container, driver: str | None) -> tuple[str, ...]:
    """Return that a running container has another driver's files than it would get now."""
    mounted = volume_users.mounted_version(container.pid) if container.pid else None
    if driver is None or mounted in (None, driver):
        return ()
    return (f"driver {mounted} -> {driver}",)


def _pulled(
    engine: Engine,
    reference: str,
    image: Image | None,
    parameters: dict[str, Any],
    check_mode: bool,
) -> tuple[Image | None, bool]:
    """Return the image, None if it is not there in check mode, and whether it was pulled anew."""
    policy = parameters["pull"]
    if image is None and policy == "never":
        raise DockerError(
            f"image {reference} is not on this host, and 'pull' is never: load it first"
        )
    if check_mode or not parameters["image"] or (image and policy != "always"):
        return image, False
    before = engine.image_id(reference) if image else None
    engine.pull(reference, parameters["platform"])
    return engine.image(reference), engine.image_id(reference) != before


def _unreadable(host: Host | None, wanted: Wanted) -> list[str]:
    if host is None or isinstance(wanted, int) or ALL not in wanted:
        return []
    return [f"GPU {one.known_as} can't be given: {one.reason}" for one in host.unreadable]


# Not called main: ansible-lint tries options on a module that has one, and most options of this one
# are docker_container's, which only the action plugin sees.
def answer() -> None:
    """Run the half of nvidia_container that plans on the host; the other is the action plugin."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        planned = plan(module.params, module.check_mode)
    except NvidiaDockerError as error:
        if module.check_mode and isinstance(error, NotInstalled):
            # The tasks before this one install it, but not in check mode.
            module.exit_json(changed=module.params["state"] != "absent", not_checked=str(error))
        module.fail_json(msg=str(error))
    for warning in planned.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**planned)


if __name__ == "__main__":
    answer()
