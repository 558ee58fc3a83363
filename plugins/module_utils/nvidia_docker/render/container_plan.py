# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container gets as the value ``nvidia`` that module nvidia_container returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..container_capabilities import words
from ..container_plan import ContainerPlan, index_of
from ..container_requirements import Requirements
from .docker_container import device_request


def result(
    plan: ContainerPlan, requirements: Requirements, differences: Iterable[str]
) -> dict[str, Any]:
    """Return ``nvidia``: the plan, and in what the container differed from it."""
    return {"plan": _plan(plan, requirements), "differences": list(differences)}


def _plan(plan: ContainerPlan, requirements: Requirements) -> dict[str, Any]:
    injection = plan.injection
    return {
        "gpus": [{"uuid": one.uuid, "index": index_of(one)} for one in plan.devices],
        "sharing": plan.sharing,
        "injection": plan.kind,
        "capabilities": list(words(plan.capabilities)),
        "driver": plan.driver,
        "device_nodes": [*injection.device_nodes, *plan.nodes_of_others],
        "mounts": [{"source": one.volume, "target": one.target} for one in injection.mounts],
        "environment": dict(injection.environment),
        "device_requests": [device_request(one) for one in plan.requests],
        "runtime": plan.runtime,
        "groups": list(injection.groups),
        "requirements": {
            "result": requirements.result,
            "conditions": [
                {"condition": condition, "outcome": outcome}
                for condition, outcome in requirements.conditions
            ],
        },
    }
