#!/usr/bin/python
# Copyright (c) 2026 the gpufleet.nvidia authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_docker_plugin
short_description: Install the programs nvidia-docker and nvidia-docker-plugin
version_added: 1.0.0
author:
  - the gpufleet.nvidia authors (@gpufleet)
description:
  - Puts the programs that this collection carries onto a host, beside an older release, compiles them
    for the host's Python and then switches to them at once.
  - Programs that run during the switch go on with the release that they started with. The release
    before is kept, with its launchers and units, to go back to.
  - A host that has a newer version is not given an older one.
  - A host that has the right release answers so in one module run, and nothing is transferred.
    Files that were changed by hand are noticed and replaced.
  - Does not start or restart a unit; RV(restart) and RV(restart_sockets) tell whether that is needed.
    The role P(gpufleet.nvidia.nvidia_docker#role) does both.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  bypass_host_loop:
    support: none
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
options:
  state:
    description:
      - V(present) installs the programs, V(absent) removes what this module made and nothing else.
      - Stop the service before you remove its unit.
      - V(previous) goes back to the release before the last upgrade, with the launchers and units that
        it had, unless it can't read what the newer one keeps on the host. A second run changes nothing.
    type: str
    choices: [present, absent, previous]
    default: present
  units:
    description:
      - The systemd units, by their names. C(nvidia-docker-plugin.service) is the plugin and
        C(nvidia-docker-plugin.socket) has its sockets; C(nvidia-docker-volume-maker) makes the driver
        volumes for it and C(nvidia-docker-image-reader) looks at images, each with a C(.socket) and a
        C(@.service). All six, or none.
      - The C(WorkingDirectory) of C(nvidia-docker-plugin.service) must be
        C(/usr/local/lib/nvidia-docker/current), which tells the release that the plugin runs.
      - With them the user C(nvidia-docker) is made, which the plugin runs as. O(state=absent) removes it
        if it was not there before.
      - Not used with O(state=previous).
    type: dict
  listen:
    description:
      - The address, as C(address:port), at which the plugin is going to listen. The module fails
        before it changes anything, and names the process, if another program listens there.
    type: str
  _release:
    description: Set by the action plugin, not by users. The release that the controller has.
    type: str
  _version:
    description: Set by the action plugin, not by users. The version of that release.
    type: str
  _archive:
    description: Set by the action plugin, not by users. Where on the host the release was put.
    type: path
requirements:
  - Python 3.9 or later on the host, root
notes:
  - The programs are C(nvidia-docker), C(nvidia-docker-plugin), C(nvidia-docker-volume-maker),
    C(nvidia-docker-image-reader), C(nvidia-docker-device-links) and C(nvidia-docker-cdi) in
    C(/usr/local/bin). Their manual pages and shell completions are linked in C(/usr/local/share),
    those for fish in C(/etc/fish/completions). A file of that name which this module has not made
    is never replaced, the module fails.
  - They run with the Python that Ansible uses on the host, or, from a virtual environment, with the
    Python that this was made from.
seealso:
  - module: gpufleet.nvidia.nvidia_driver_volume
"""

EXAMPLES = r"""
- name: Install the programs
  gpufleet.nvidia.nvidia_docker_plugin:
    listen: 127.0.0.1:3476
  register: programs

- name: Go back to the release before the last upgrade
  gpufleet.nvidia.nvidia_docker_plugin:
    state: previous
  register: programs

- name: Remove the programs
  gpufleet.nvidia.nvidia_docker_plugin:
    state: absent
"""

RETURN = r"""
release:
  description: SHA-256 that names the installed content.
  type: str
  returned: O(state=present) or O(state=previous)
  sample: 5f8b0c1d3a
version:
  description: Version of the programs.
  type: str
  returned: O(state=present) or O(state=previous)
  sample: 1.0.0
interpreter:
  description: The Python that runs the programs.
  type: str
  returned: O(state=present) or O(state=previous)
  sample: /usr/bin/python3
restart:
  description:
    - Whether the service has to be restarted. It does not run, or it runs another release or older
      units than the installed ones.
    - Always V(false) with O(state=present) without O(units).
  type: bool
  returned: O(state=present) or O(state=previous)
restart_sockets:
  description:
    - Units that hold the service's sockets and have to be restarted while the service is stopped,
      since one of them changed or does not listen.
    - Always empty with O(state=present) without O(units).
  type: list
  elements: str
  returned: O(state=present) or O(state=previous)
  sample: []
service_exists:
  description: Whether systemd knew the unit before this run.
  type: bool
  returned: success
removed:
  description: Files and folders that were removed.
  type: list
  elements: str
  returned: O(state=absent)
  sample: [/usr/local/bin/nvidia-docker]
user_removed:
  description: Whether the user C(nvidia-docker) was removed.
  type: bool
  returned: O(state=absent)
"""

import os
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker.errors import NvidiaDockerError
from ..module_utils.nvidia_docker.host import (
    device_links,
    installation,
    programs,
    programs_state,
    release,
    service,
)
from ..module_utils.nvidia_docker.host.layout import SOCKETS, UNITS, Layout
from ..module_utils.nvidia_docker.host.owned_file import TextFile

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent", "previous"], "default": "present"},
    "units": {"type": "dict"},
    "listen": {"type": "str"},
    "_release": {"type": "str"},
    "_version": {"type": "str"},
    "_archive": {"type": "path"},
}
SYSTEM_PYTHON = "/usr/bin/python3"


def interpreter() -> str:
    """Return the Python for the programs: this one, outside of a virtual environment, by the name
    that outlives an upgrade of the distribution."""
    real = os.path.realpath(sys.executable)
    return SYSTEM_PYTHON if os.path.realpath(SYSTEM_PYTHON) == real else real


def present(module: AnsibleModule, layout: Layout) -> dict[str, Any]:
    """Return the module's result; ``needs_archive`` asks the action plugin for the archive."""
    options = module.params
    target = programs_state.wanted(
        layout, options["_release"], options["_version"], interpreter(), options["units"]
    )
    before = programs_state.look(layout, target)
    running = service.ask(layout)
    if options["units"] is not None and running is None:
        module.fail_json(msg="this host is not run by systemd, which the units of the plugin need")
    if options["listen"] is not None:
        service.check_address(options["listen"], running)
    changed = before != target
    if changed and not module.check_mode:
        archive = options["_archive"]
        if archive is None and programs_state.problem(layout, target) is not None:
            return {"changed": False, "needs_archive": True}
        files = release.unpack(Path(archive), target.release) if archive else None
        programs.install(layout, target, files, running.release if running else None)
    if options["units"] is not None and not module.check_mode:
        service.make_user()
    return {
        "changed": changed,
        **described(before, target, running),
        "restart": options["units"] is not None and must_restart(before, target, running),
    }


def previous(module: AnsibleModule, layout: Layout) -> dict[str, Any]:
    """Return the module's result after going back."""
    target = programs_state.previous(layout)
    before = programs_state.look_at(layout, target)
    running = service.ask(layout)
    changed = before != target
    if changed and not module.check_mode:
        programs.go_back(layout, target, running.release if running else None)
    return {
        "changed": changed,
        **described(before, target, running),
        "restart": bool(_units(target)) and must_restart(before, target, running),
    }


def described(
    before: programs_state.State, target: programs_state.State, running: service.Service | None
) -> dict[str, Any]:
    """Return what the result says of every installed release."""
    return {
        "release": target.release,
        "version": target.version,
        "interpreter": target.interpreter,
        "restart_sockets": sockets_to_restart(before, target, running),
        "service_exists": running is not None and running.exists,
        "diff": difference(before, target),
    }


def must_restart(
    before: programs_state.State, target: programs_state.State, running: service.Service | None
) -> bool:
    """Whether the running plugin is not what ``target`` says."""
    if running is None or not running.active or running.needs_reload:
        return True
    if running.release != target.release or before.interpreter != target.interpreter:
        return True
    return _units(before) != _units(target)


def sockets_to_restart(
    before: programs_state.State, target: programs_state.State, running: service.Service | None
) -> tuple[str, ...]:
    """Return the socket units that are not what ``target`` says, all of them if one is not."""
    units = _units(target)
    old = _units(before)
    if not units or (
        running is not None
        and not running.inactive_sockets
        and all(units[name] == old.get(name) for name in SOCKETS)
    ):
        return ()
    return SOCKETS


def _units(state: programs_state.State) -> dict[str, TextFile]:
    return {file.path.name: file for file in state.files if file.path.name in UNITS}


def difference(before: programs_state.State, after: programs_state.State) -> list[dict[str, str]]:
    """Return the differences for ``--diff``: the release, then each file."""
    parts = [
        {
            "before_header": "nvidia-docker programs",
            "after_header": "nvidia-docker programs",
            "before": summary(before),
            "after": summary(after),
        }
    ]
    old = {file.path: file for file in before.files}
    for file in after.files:
        found = old.get(file.path)
        parts.append(
            {
                "before_header": str(file.path) if found else "/dev/null",
                "after_header": str(file.path),
                "before": found.text if found else "",
                "after": file.text,
            }
        )
    for link in (one for one in after.links if one not in before.links):
        parts.append(
            {
                "before_header": "/dev/null",
                "after_header": str(link.path),
                "before": "",
                "after": f"-> {link.target}\n",
            }
        )
    return [part for part in parts if part["before"] != part["after"]]


def summary(state: programs_state.State) -> str:
    """Return a line per property that is known."""
    lines = {
        "release": state.release,
        "version": state.version,
        "interpreter": state.interpreter,
        "problem": state.problem,
    }
    known = [f"{name}: {value}\n" for name, value in lines.items() if value]
    return "".join(known + [f"{file.path}: mode {file.mode:04o}\n" for file in state.files])


def absent(module: AnsibleModule, layout: Layout) -> dict[str, Any]:
    """Return the module's result."""
    running = service.ask(layout)
    removed = [str(path) for path in programs.ours(layout)]
    with_user = installation.read(layout).user and installation.has_user()
    if removed and not module.check_mode:
        # First: the record that the user is ours goes with the programs.
        if with_user:
            service.remove_user()
        programs.remove(layout)
        device_links.remove()
    return {
        "changed": bool(removed),
        "removed": removed,
        "user_removed": with_user,
        "service_exists": running is not None and running.exists,
        "diff": {"before": "".join(f"{path}\n" for path in removed), "after": ""},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.params["state"] == "present" and module.params["_release"] is None:
        module.fail_json(
            msg="call gpufleet.nvidia.nvidia_docker_plugin by this full name: "
            "the short name found the module but not its action plugin"
        )
    if os.geteuid() != 0:
        module.fail_json(msg="only root can install the programs: run this task with become: true")
    layout = Layout()
    states = {"present": present, "absent": absent, "previous": previous}
    try:
        result = states[module.params["state"]](module, layout)
    except NvidiaDockerError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        where = error.filename or layout.library
        module.fail_json(msg=f"the programs can't be changed: {where}: {error.strerror or error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
