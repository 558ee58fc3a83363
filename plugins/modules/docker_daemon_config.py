#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Merge settings into Docker's daemon.json
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Puts settings into C(daemon.json), or takes them back out, and leaves everything else in it as
    it was written.
  - What stood there before is remembered, so that O(state=absent) restores it.
  - The result is checked before it is put in place, by C(dockerd) itself (C(--validate) from 23.0
    on, a start without privileges before) and by a table of what Docker refuses at its start, such
    as keys of other versions, runtimes that are not defined, and keys that are also given to
    C(dockerd) as a flag by the unit C(docker.service) or one of its drop-ins.
  - Tells whether a running Docker has to be reloaded or restarted to follow, and does so if told
    to with O(follow).
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
  path:
    description:
      - The configuration file of C(dockerd). A symbolic link is followed and stays.
      - A missing file is made, with its directory. An existing one keeps its owner, mode, SELinux
        label and access control list.
    type: path
    default: /etc/docker/daemon.json
  config:
    description:
      - The settings, as they would stand in C(daemon.json).
      - With O(state=present), objects are merged key by key, and some lists item by item.
      - C(allow-nondistributable-artifacts), C(authorization-plugins), C(cdi-spec-dirs), C(dns),
        C(dns-search), C(hosts), C(insecure-registries) and C(registry-mirrors) are united. Items
        that are there stay where they are, new ones follow.
      - C(exec-opts), C(labels), C(node-generic-resources) and C(storage-opts), whose items are
        C(NAME=VALUE), and C(dns-opts), C(NAME:VALUE), are united by name. Items of a name that is
        given here replace all items of that name, those of other names stay. So the GPUs of a node
        are exactly those given here, and its other resources are kept.
      - All other lists, such as C(default-address-pools), those of keys that this module does not
        know and those in objects (C(runtimeArgs)), are replaced as a whole, as are all other values.
      - With O(state=absent), the keys (and the items of lists that are merged) that are named here
        are as they were before this module changed them, whatever values are given here. Those
        that somebody else has changed since stay, with a warning.
      - Keys that this module has never put into the file are taken out if their value equals the
        one given here. If nobody else has changed the file and all settings are given back, it is
        again what it was, byte by byte, or missing.
      - Without it, O(state=absent) gives back all that this module has ever put into the file.
      - Required if O(state=present).
    type: dict
  state:
    description: Whether the settings are to be in the file.
    type: str
    choices: [present, absent]
    default: present
  follow:
    description:
      - Make a running Docker follow the file; reload it (SIGHUP) or restart its unit, whatever the
        changed keys need, and wait until its API answers (at most 60 seconds).
      - If Docker refuses, the old file is put back, Docker is started with it, and the module fails
        with Docker's reason.
      - A Docker that does not run is not started, unless this module has stopped it.
      - A run that was killed between the file and Docker is made good by the next one.
      - Where the file switches C(live-restore) on and something else needs a restart, Docker is
        reloaded first, so that the containers go on running.
    type: bool
    default: false
  backup:
    description: Copy the file, with a time stamp in the name, before it is changed.
    type: bool
    default: false
notes:
  - A file that C(dockerd) would refuse or misread (comments, trailing commas, duplicate keys, text
    after the object, a byte order mark) is reported with line and column and not touched.
  - What was there before is kept in C(/var/lib/gpufleet-nvidia/docker_daemon_config), for users
    other than root below C($XDG_STATE_HOME) or C(~/.local/state), readable by its owner only.
    Without it, O(state=absent) takes out what equals O(config).
  - What a running Docker has not followed is kept in C(/run/gpufleet-nvidia/docker_daemon_config)
    until it was restarted, or was reloaded where that is enough.
  - A rootless Docker (O(path=~/.config/docker/daemon.json)) is configured, not followed.
seealso:
  - name: dockerd reference
    description: The keys of daemon.json.
    link: https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file
"""

EXAMPLES = r"""
- name: Let containers survive a restart of Docker
  gpufleet.nvidia.docker_daemon_config:
    config:
      live-restore: true
    follow: true

- name: Offer this node's GPUs to Swarm services, beside its other resources
  gpufleet.nvidia.docker_daemon_config:
    config:
      node-generic-resources:
        - NVIDIA-GPU=GPU-c3ad6bd5-e9f1-0000-0000-000000000000
    follow: true

- name: Change settings, and let the handlers of the play see to Docker
  gpufleet.nvidia.docker_daemon_config:
    config:
      features:
        cdi: true
  register: docker_settings
  changed_when: docker_settings.restart != 'none'
  notify: Make Docker follow

# In the handlers of the play. Unlike follow, this does not put the old file back.
- name: Make Docker follow
  ansible.builtin.systemd_service:
    name: docker
    state: "{{ docker_settings.restart }}ed"

- name: Give back what was there before CDI was switched on
  gpufleet.nvidia.docker_daemon_config:
    state: absent
    config:
      features:
        cdi: true
    follow: true

- name: Give back all that was there before
  gpufleet.nvidia.docker_daemon_config:
    state: absent
    follow: true
"""

RETURN = r"""
restart:
  description:
    - What a running Docker needs to follow the file, V(none), V(reload) or V(restart), also for
      changes of earlier runs that it has not followed.
    - V(none) as well if no Docker is installed.
    - With O(follow=true) it was done, if RV(followed) says so.
  type: str
  returned: success
  sample: restart
changed_keys:
  description:
    - The top-level keys that change, each with what it needs, and those of earlier runs that Docker
      has not followed.
  type: dict
  returned: success
  sample:
    features: restart
    labels: reload
followed:
  description: Whether Docker was reloaded or restarted.
  type: bool
  returned: success
  sample: true
stops_containers:
  description:
    - How many running containers are stopped by the restart that is needed, 0 where C(live-restore)
      keeps them. There is a warning, too, before it happens and in check mode.
  type: int
  returned: success
  sample: 3
kept:
  description: Settings that were not given back, as somebody else has changed them since.
  type: list
  elements: str
  returned: if O(state=absent)
  sample: [features.cdi]
engine_version:
  description: Version of the installed C(dockerd), null if there is none.
  type: str
  returned: success
  sample: "26.1"
backup_file:
  description: Copy of the file as it was.
  type: str
  returned: if O(backup=true), the file existed and was changed
  sample: /etc/docker/daemon.json.1234.2026-01-31@12:00:00~
"""

from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker.errors import DaemonJsonError
from ..module_utils.nvidia_docker.host import daemon_change, daemon_file, daemon_plan, docker_daemon
from ..module_utils.nvidia_docker.host.daemon_plan import Change, Request


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do what the options ask for and return the module's result."""
    options = module.params
    request = Request(options["path"], options["config"], options["state"] == "present")
    file = daemon_file.target(request.path)
    writes = not module.check_mode and (request.present or file.parent.is_dir())
    with daemon_file.locked(file) if writes else nullcontext():
        change = daemon_plan.plan(file, request, docker_daemon.find(file))
        if options["follow"]:
            daemon_change.check_follow(change)
        warn(module, change)
        return {**result(module, change), **({} if module.check_mode else do(module, change))}


def do(module: AnsibleModule, change: Change) -> dict[str, Any]:
    """Write, and follow if told to; return what the result has more for that."""
    more: dict[str, Any] = {}
    if module.params["backup"] and change.changed and change.old is not None:
        more["backup_file"] = module.backup_local(str(change.file))
    daemon_change.write(change)
    if module.params["follow"] and daemon_change.follow(change):
        return {**more, "changed": True, "followed": True}
    daemon_change.finish(change)
    return more


def result(module: AnsibleModule, change: Change) -> dict[str, Any]:
    """Return what check mode returns; nothing was followed yet."""
    path, version = change.request.path, change.daemon.version
    found = {
        "changed": change.changed or (module.params["follow"] and change.followable),
        "restart": change.need,
        "changed_keys": dict(change.needs),
        "followed": False,
        "stops_containers": change.stops(module.params["follow"]),
        "engine_version": version and "{}.{}".format(*version),
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": change.old_text or "",
            "after": change.text or "",
        },
    }
    return found if change.request.present else {**found, "kept": list(change.kept)}


def warn(module: AnsibleModule, change: Change) -> None:
    """Warn of what the user should know, before anything is done."""
    path = change.request.path
    if change.old is not None and not change.document.text.strip():
        module.warn(f"{path} is empty: it is taken as {{}}, though Docker before 23 refuses it.")
    if not change.changed:
        for problem in change.problems:
            module.warn(f"{path}: {problem}.")
    if change.kept:
        module.warn(
            f"{path}: {', '.join(change.kept)} stays, as somebody else has changed it since this "
            "module did."
        )
    number = change.stops(module.params["follow"])
    if number:
        module.warn(
            f"{path}: the restart of Docker stops {number} running containers: {why(change)}."
        )


def why(change: Change) -> str:
    """Say why live-restore does not hold the containers."""
    if change.info is not None and change.info.swarm:
        return "live-restore is not for a node of a Swarm, drain the node before"
    if change.holds_from_now:
        return "live-restore is just being switched on, and holds after a reload only"
    return "live-restore is off"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "config": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "follow": {"type": "bool", "default": False},
            "backup": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ("config",))],
        supports_check_mode=True,
    )
    try:
        found = run(module)
    except DaemonJsonError as error:
        module.fail_json(msg=f"{error}.")
    module.exit_json(**found)


if __name__ == "__main__":
    main()
