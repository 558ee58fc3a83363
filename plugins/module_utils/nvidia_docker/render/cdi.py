# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan of CDI devices as the text of a specification.

Engines take JSON and YAML; JSON can't be half-read by accident, and the same plan gives the same
bytes. An empty list is left out, as null items crash engines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..cdi_plan import CdiPlan
from ..cdi_reader import read
from ..cdi_versions import LOWEST, demands, number
from ..errors import CdiError
from ..injection import FileMount, Hook, Injection
from ..model import DeviceNode

_PERMISSIONS = "rw"
"""Not ``m``: with it, old drivers let a container make other GPUs' nodes (CVE-2021-1056)."""
_READ_ONLY = ("ro", "nosuid", "nodev", "rbind", "rprivate")
_WRITABLE = ("nosuid", "nodev", "noexec", "rbind", "rprivate")

Fields = dict[str, Any]


def specification(plan: CdiPlan, version: str | None = None) -> str:
    """Return the text of the specification, of CDI ``version`` or the lowest that is enough.

    Raises CdiError with what needs more if ``version`` is too low, or if the plan makes no
    specification that engines would read.
    """
    nodes = {node.path: node for node in plan.nodes}
    document: Fields = {
        "cdiVersion": version or LOWEST,
        "kind": plan.kind,
        "devices": [
            {"name": name, "containerEdits": _edits(injection, nodes)}
            for name, injection in plan.devices
        ],
        "containerEdits": _edits(plan.common, nodes),
    }
    most = demands(read(document))[-1]
    if version is not None and number(most.version) > number(version):
        raise CdiError(
            f"CDI version {version} is too low: {most.what} needs {most.version} or higher"
        )
    document["cdiVersion"] = version or most.version
    return json.dumps(document, indent=1) + "\n"


def _edits(injection: Injection, nodes: Mapping[str, DeviceNode]) -> Fields:
    edits: Fields = {
        "env": [f"{name}={value}" for name, value in injection.environment],
        "deviceNodes": [_node(nodes[path]) for path in injection.device_nodes],
        "mounts": [_mount(mount) for mount in injection.files],
        "hooks": [_hook(hook) for hook in injection.hooks],
        "additionalGids": list(injection.groups),
    }
    return {name: content for name, content in edits.items() if content}


def _node(node: DeviceNode) -> Fields:
    """Without a type: engines then look whether the host still has the node."""
    fields: Fields = {
        "path": node.path,
        "major": node.major,
        "minor": node.minor,
        "fileMode": node.mode,
        "permissions": _PERMISSIONS,
    }
    # Engines give a node without owner to the user that the container runs as.
    owner = {"uid": node.uid, "gid": node.gid}
    return {**fields, **{name: value for name, value in owner.items() if value}}


def _mount(mount: FileMount) -> Fields:
    return {
        "hostPath": mount.source,
        "containerPath": mount.target,
        "options": list(_WRITABLE if mount.writable else _READ_ONLY),
    }


def _hook(hook: Hook) -> Fields:
    name = hook.path.rpartition("/")[2]
    return {
        "hookName": "createContainer",
        "path": hook.path,
        "args": [name, *hook.arguments],
        # Whatever the image's environment says must not reach a program of the host.
        "env": ["NVIDIA_CTK_DEBUG=false"],
    }
