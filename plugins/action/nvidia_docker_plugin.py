# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of nvidia_docker_plugin: the programs travel only if the host asks."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.nvidia_docker.errors import NvidiaDockerError
from ..module_utils.nvidia_docker.host import release
from ..plugin_utils import programs

MODULE = "gpufleet.nvidia.nvidia_docker_plugin"


class ActionModule(ActionBase):
    """One module run tells whether the host has the release; a second one unpacks the archive."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(
            argument_spec={
                "state": {
                    "type": "str",
                    "choices": ["present", "absent", "previous"],
                    "default": "present",
                },
                "units": {"type": "dict"},
                "listen": {"type": "str"},
            }
        )[1]
        files: dict[str, bytes] = {}
        if arguments["state"] == "present":
            try:
                files = programs.read_files()
                arguments["_version"] = release.version(files)
            except NvidiaDockerError as error:
                raise AnsibleActionFail(str(error)) from error
            arguments["_release"] = release.digest(files)
        result.update(self._execute_module(MODULE, module_args=arguments, task_vars=task_vars))
        if result.pop("needs_archive", False):
            arguments["_archive"] = self._transfer(release.pack(files))
            result.update(self._execute_module(MODULE, module_args=arguments, task_vars=task_vars))
        return result

    def _transfer(self, archive: bytes) -> str:
        # The folder is Ansible's own for this task: ActionBase.cleanup() removes it.
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        path: str = shell.join_path(shell.tmpdir, "nvidia-docker.zip")
        self._transfer_data(path, archive)
        self._fixup_perms2((shell.tmpdir, path))
        return path
