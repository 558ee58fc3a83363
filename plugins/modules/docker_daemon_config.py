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
  - Puts settings into C(daemon.json), or takes them out, and leaves everything else in it as it
    was written.
  - The result is checked before it is put in place, by C(dockerd --validate) where the installed
    Docker has it (23.0 and later) and by a table of what Docker refuses at its start.
  - Tells whether a running Docker has to be reloaded or restarted to follow; does neither.
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
      - With O(state=present), objects are merged key by key; lists and all other values are
        replaced.
      - With O(state=absent), keys whose value equals the one given here are taken out; lists are
        compared as a whole. Keys with another value stay.
    type: dict
    required: true
  state:
    description: Whether the settings are to be in the file.
    type: str
    choices: [present, absent]
    default: present
  backup:
    description: Copy the file, with a time stamp in the name, before it is changed.
    type: bool
    default: false
notes:
  - A file that C(dockerd) would refuse or misread (comments, trailing commas, duplicate keys, text
    after the object, a byte order mark) is reported with line and column and not touched.
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
  register: docker_settings

- name: Restart Docker if a changed key needs it
  ansible.builtin.systemd_service:
    name: docker
    state: restarted
  when: docker_settings.restart == 'restart'

- name: Take CDI out again
  gpufleet.nvidia.docker_daemon_config:
    state: absent
    config:
      features:
        cdi: true
"""

RETURN = r"""
restart:
  description:
    - What a running Docker needs to follow all changes, V(none), V(reload) or V(restart).
    - V(none) as well if no Docker is installed.
  type: str
  returned: success
  sample: restart
changed_keys:
  description: The top-level keys that change, each with what it needs.
  type: dict
  returned: success
  sample:
    features: restart
    labels: reload
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

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.nvidia_docker import (
    daemon_json,
    daemon_json_keys,
    daemon_json_record,
)
from ..module_utils.nvidia_docker.errors import DaemonJsonError
from ..module_utils.nvidia_docker.host import daemon_file


class Dockerd:
    """The installed engine, asked by its program; it need not run."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.program = module.get_bin_path("dockerd")
        self.version: daemon_json_keys.Version | None = None
        if self.program:
            _dummy, answer, _dummy = module.run_command([self.program, "--version"])
            self.version = daemon_json_keys.engine_version(answer)

    def validate(self, text: str, path: str) -> None:
        """Raise DaemonJsonError with dockerd's own words if it refuses this content."""
        if self.version is None or self.version < daemon_json_keys.VALIDATES:
            return
        with tempfile.NamedTemporaryFile("wb", suffix=".json") as candidate:
            candidate.write(text.encode("utf-8"))
            candidate.flush()
            status, answer, complaint = self.module.run_command(
                [self.program, "--validate", "--config-file", candidate.name]
            )
        if status:
            said = (complaint or answer).strip().replace(candidate.name, path)
            raise DaemonJsonError(f"dockerd refuses the new content, nothing was changed: {said}")


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do what the options ask for and return the module's result."""
    path, present = module.params["path"], module.params["state"] == "present"
    file = daemon_file.target(path)
    writes = not module.check_mode and (present or file.exists())
    with daemon_file.locked(file) if writes else nullcontext():
        return change(module, path, file, present, Dockerd(module))


def change(
    module: AnsibleModule, path: str, file: Path, present: bool, dockerd: Dockerd
) -> dict[str, Any]:
    """Compute the new content, check it, and write it unless in check mode."""
    old = daemon_file.read(file)
    document = daemon_json.parse(old or b"", path)
    try:
        wanted = module.params["config"]
        if present:
            config = daemon_json.merge(document.config, wanted)
        else:
            unknown = daemon_json_record.Record(str(file))
            config = daemon_json_record.take_back(unknown, document.config, wanted).config
    except DaemonJsonError as error:
        raise DaemonJsonError(f"{path}: {error}") from error
    changed = not daemon_json.same(document.config, config)
    text = daemon_json.render(document, config) if changed else document.text
    needs = daemon_json_keys.needed(document.config, config, dockerd.version)
    result = {
        "changed": changed,
        "restart": daemon_json_keys.strongest(needs),
        "changed_keys": needs,
        "engine_version": dockerd.version and "{}.{}".format(*dockerd.version),
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": document.text,
            "after": text,
        },
    }
    if old is not None and not document.text.strip():
        module.warn(f"{path} is empty: it is taken as {{}}, though Docker before 23 refuses it.")
    problems = daemon_json_keys.problems(config, dockerd.version)
    if not changed:
        for problem in problems:
            module.warn(f"{path}: {problem}.")
        return result
    if problems:
        raise DaemonJsonError(f"{path} was not changed: {'; '.join(problems)}")
    dockerd.validate(text, path)
    if not module.check_mode:
        if module.params["backup"] and old is not None:
            result["backup_file"] = module.backup_local(str(file))
        daemon_file.replace(file, text)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "config": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "backup": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except DaemonJsonError as error:
        module.fail_json(msg=f"{error}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
