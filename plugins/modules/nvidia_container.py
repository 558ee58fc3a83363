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
    that it runs on, in the way that O(injection) names.
  - The GPUs are read from NVML on the host when the task runs. The image is refused if it demands
    more than the host's driver offers; a running container then stays as it is.
  - Takes every option of M(community.docker.docker_container) and passes it on. Those that are
    listed here are read by this module too and mean the same.
  - "The container has exactly the GPUs that O(gpus) names: one GPU more or less than before, and
    the container is recreated, whatever C(comparisons) says. Devices, device requests, mounts,
    variables, groups and labels of your own are compared as M(community.docker.docker_container)
    compares them."
  - An image whose E(PATH) or E(LD_LIBRARY_PATH) does not name the driver volume, and that has no label
    C(com.nvidia.volumes.needed), gets that variable with the directories of the volume before its
    own; a variable that is in C(env) stays as it is there.
  - Another driver version is no reason to recreate a container, it gets the files of the loaded driver
    at each start, by each kind of injection. One that still runs with an older driver's files is
    restarted.
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
  injection:
    description:
      - How the GPUs come into the container.
      - V(driver_volume) gives it the device nodes by name and mounts the driver volume read-only at
        C(/usr/local/nvidia). It needs the volume driver of role gpufleet.nvidia.nvidia_docker.
      - V(cdi) gives it CDI devices C(nvidia.com/gpu=…). It needs Docker 25 or newer with CDI, and a
        specification that has these GPUs and is true of the host, made by role
        gpufleet.nvidia.nvidia_cdi or C(nvidia-ctk).
      - V(device_request) is what C(docker run --gpus) does. It needs C(nvidia-container-runtime-hook)
        in the C(PATH) of dockerd, since before Docker started.
      - V(runtime) runs it with NVIDIA's runtime and E(NVIDIA_VISIBLE_DEVICES). It needs the runtime in
        Docker's configuration, under the name C(nvidia) or with the program
        C(nvidia-container-runtime).
      - V(auto) keeps what the container has, and fails where the host does not have that any more. For a
        new container it takes the first that the host has, in the order of this list.
      - Where the host does not have it, the task fails and names what the host has.
      - GPUs of V(driver_volume) and V(cdi) are part of the container. Those of V(device_request) and
        V(runtime) are lost to it with C(systemctl daemon-reload) or C(docker update), where Docker's
        control groups are systemd's.
    type: str
    choices: [driver_volume, cdi, device_request, runtime, auto]
    default: driver_volume
  capabilities:
    description:
      - What the container can do with the driver, V(all) or some of V(compute), V(utility), V(graphics),
        V(video), V(display), V(compat32), V(ngx).
      - The default is what E(NVIDIA_DRIVER_CAPABILITIES) says in O(env), else in the image, else V(compute)
        and V(utility).
      - With O(injection=driver_volume) the driver volume has files of what it was made with;
        V(graphics) adds the GPU's DRM nodes, V(display) the modeset node, with the groups that open them.
      - With O(injection=cdi) the specification decides. A specification without something that is named
        here is refused, as far as its driver files tell.
      - With O(injection=device_request) and O(injection=runtime) NVIDIA's programs are asked for them.
    type: list
    elements: str
  requirements:
    description:
      - What becomes of an image that demands more than the host has, by its label
        C(com.nvidia.cuda.version) or by E(NVIDIA_REQUIRE_*). It is the same for each kind of injection.
      - V(enforce) refuses it, and the container stays as it is. V(warn) warns and goes on. V(ignore) does
        not look.
      - With V(warn) and V(ignore), containers of O(injection=device_request) and O(injection=runtime) get
        E(NVIDIA_DISABLE_REQUIRE=1), as NVIDIA's programs would refuse to start them.
      - E(NVIDIA_DISABLE_REQUIRE) and E(NVIDIA_REQUIRE_*) in O(env) count as if the image had them.
    type: str
    choices: [enforce, warn, ignore]
    default: enforce
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
  env:
    description:
      - Variables of the container. Only those that concern GPUs, E(PATH) and E(LD_LIBRARY_PATH) are read by
        this module.
    type: dict
  env_file:
    description:
      - File on the host with variables of the container; those in O(env) go before.
    type: path
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
    support: partial
    details:
      - The plan is made, and the image pulled, before the task returns; only
        M(community.docker.docker_container) runs asynchronously.
      - With C(poll) the result is the same as without C(async).
      - With C(poll=0) the task returns C(nvidia); what M(ansible.builtin.async_status) returns later is
        M(community.docker.docker_container)'s. The lease of a number of GPUs then ends by itself, after ten
        minutes.
  become:
    support: full
  bypass_host_loop:
    support: none
  check_mode:
    support: partial
    details:
      - What an absent image demands is not checked, RV(nvidia.plan.requirements.result) says so.
      - On a host that has no Docker, or not yet what O(injection) needs, a container would be made and
        nothing else is checked.
      - As with M(community.docker.docker_container), an image that is there is taken for the latest.
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
  - "on the host: Docker engine and client, python3-requests, and what O(injection) needs"
notes:
  - Defaults set with C(module_defaults) for M(community.docker.docker_container) or its action group apply,
    after those for this module and for C(group/gpufleet.nvidia.nvidia).
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

- name: Render off screen, by CDI
  gpufleet.nvidia.nvidia_container:
    name: renderer
    image: registry.example.com/renderer:4
    gpus: [0]
    injection: cdi
    capabilities: [graphics, utility]

- name: Run an image that demands a newer driver, which it does not need
  gpufleet.nvidia.nvidia_container:
    name: legacy
    image: registry.example.com/legacy:1
    injection: auto
    requirements: warn

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
  description: What the container gets, and why it was changed.
  type: dict
  returned: unless the container is only stopped or removed
  contains:
    differences:
      description:
        - In what the container, as it was before, differed from the plan. The diff has them too.
        - "For example a GPU that is removed or added, C(index 0 is GPU-… now), C(GPU-… is /dev/nvidia4 now,
          was /dev/nvidia3), C(injection driver_volume -> cdi), C(capability graphics removed), C(variable PATH
          changed), C(driver 535.54 -> 550.163), C(sharing named -> exclusive)."
      type: list
      elements: str
      returned: always
      sample: [GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00 removed]
    plan:
      description: What the container gets.
      type: dict
      returned: always
      contains:
        gpus:
          description: The GPUs and MIG devices, in NVML order.
          type: list
          elements: dict
          returned: always
          sample: [{"uuid": "GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00", "index": "0"}]
          contains:
            uuid:
              description: UUID.
              type: str
              returned: always
            index:
              description: Index of the GPU, of a MIG device GPU index and MIG index as in V(0:1).
              type: str
              returned: always
        sharing:
          description:
            - V(exclusive) if the GPUs were asked for by number, V(shared) with O(shared=true), else
              V(named).
          type: str
          returned: always
          sample: named
        injection:
          description: The kind of injection, null if no GPU is given.
          type: str
          returned: always
          sample: driver_volume
        capabilities:
          description: Driver capabilities.
          type: list
          elements: str
          returned: always
          sample: [compute, utility]
        driver:
          description: Version of the driver, null if no GPU is given.
          type: str
          returned: always
          sample: 550.163.01
        device_nodes:
          description:
            - Device nodes. None for O(injection=device_request) and O(injection=runtime), where NVIDIA's
              programs add them.
          type: list
          elements: str
          returned: always
          sample: [/dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia0]
        mounts:
          description: What is mounted, the driver volume.
          type: list
          elements: dict
          returned: always
          sample: [{"source": "nvidia_driver", "target": "/usr/local/nvidia"}]
        environment:
          description: Variables that this module sets, unless the task does.
          type: dict
          returned: always
          sample: {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"}
        device_requests:
          description: Requests to device drivers of Docker.
          type: list
          elements: dict
          returned: always
          sample: [{"driver": "cdi", "count": 0, "device_ids": ["nvidia.com/gpu=0"]}]
        runtime:
          description: The runtime, null if the container has Docker's own.
          type: str
          returned: always
          sample: nvidia
        groups:
          description: Numbers of groups that open the device nodes to users other than root.
          type: list
          elements: int
          returned: always
          sample: [44]
        requirements:
          description: Whether the host offers what the image demands.
          type: dict
          returned: always
          contains:
            result:
              description:
                - V(met), V(unmet) (with O(requirements=warn) only), V(ignored), or
                  V(not checked:) and why, in check mode.
              type: str
              returned: always
              sample: met
            conditions:
              description: Each condition of the image and what came of it.
              type: list
              elements: dict
              returned: always
              sample: [{"condition": "cuda>=12.4", "outcome": "met"}]
              contains:
                condition:
                  description: As the image writes it.
                  type: str
                  returned: always
                outcome:
                  description:
                    - V(met), V(unmet), V(unreadable), or V(skipped) with E(NVIDIA_DISABLE_REQUIRE).
                  type: str
                  returned: always
"""

import importlib.util
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..module_utils.nvidia_docker.container_plan import AUTO, DRIVER_VOLUME, KINDS
from ..module_utils.nvidia_docker.container_requirements import ENFORCE, POLICIES
from ..module_utils.nvidia_docker.errors import NotInstalled, NvidiaDockerError
from ..module_utils.nvidia_docker.host import env_file
from ..module_utils.nvidia_docker.host.container_planner import Asked, ContainerPlanner, Planned
from ..module_utils.nvidia_docker.host.engine import Engine
from ..module_utils.nvidia_docker.render import container_plan, docker_container
from ..module_utils.nvidia_docker.selection import ALL

ARGUMENT_SPEC = {
    "gpus": {"type": "raw", "default": ALL},
    "injection": {"type": "str", "choices": [*KINDS, AUTO], "default": DRIVER_VOLUME},
    "capabilities": {"type": "list", "elements": "str"},
    "requirements": {"type": "str", "choices": list(POLICIES), "default": ENFORCE},
    "shared": {"type": "bool", "default": False},
    "name": {"type": "str", "required": True},
    "image": {"type": "str"},
    "env": {"type": "dict"},
    "env_file": {"type": "path"},
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
    planned = ContainerPlanner(engine, _asked(parameters), check_mode).plan(container)
    return {
        "changed": planned.pulled,
        "options": docker_container.options(planned.plan, planned.labels),
        "overrides": _overrides(planned, check_mode),
        "lease": planned.lease,
        "nvidia": container_plan.result(planned.plan, planned.requirements, planned.differences),
        "warnings": [one for one in (*planned.warnings, planned.requirements.warning) if one],
    }


def _asked(parameters: dict[str, Any]) -> Asked:
    capabilities = parameters["capabilities"]
    in_file = env_file.read(parameters["env_file"]) if parameters["env_file"] else {}
    env = {name: str(one) for name, one in (parameters["env"] or {}).items()}
    return Asked(
        name=parameters["name"],
        image=parameters["image"],
        gpus=parameters["gpus"],
        shared=parameters["shared"],
        injection=parameters["injection"],
        capabilities=None if capabilities is None else tuple(capabilities),
        requirements=parameters["requirements"],
        pull=parameters["pull"],
        platform=parameters["platform"],
        env={**in_file, **env},
        in_file=frozenset(in_file) - frozenset(env),
    )


def _overrides(planned: Planned, check_mode: bool) -> dict[str, Any]:
    return {
        # What runs is what was checked.
        **({} if check_mode else {"pull": "never"}),
        **({"recreate": True} if planned.recreate else {}),
        **({"restart": True} if planned.restart else {}),
    }


def _require_requests() -> None:
    # docker_container would say so too, but only after the image was pulled.
    if importlib.util.find_spec("requests") is None:
        raise NotInstalled(
            f"{sys.executable} on this host has no module requests, which community.docker needs: "
            "apply role gpufleet.nvidia.docker, or install package python3-requests"
        )


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
