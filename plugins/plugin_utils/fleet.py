# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet as its hosts have answered: hosts, GPUs and findings, with each value of a known type.

The answers come from machines that may be sick or hostile: what has another type than
gpufleet.nvidia.nvidia_facts documents is taken as not told.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STATES = ("ok", "warning", "critical", "failed", "unreachable")
"""From well to worst. The last two are of hosts only: their GPUs are not known."""

SEVERITIES = ("info", "warning", "critical")
"""Of findings. One for information, or one that is accepted, leaves the state as it is."""


@dataclass(frozen=True)
class Finding:
    """What is wrong on a host, and what to do. C(gpu) is its PCI bus id, or None for the host."""

    severity: str
    gpu: str | None
    message: str
    fix: str
    id: str = "other"
    accepted: bool = False
    """Known and lived with: nothing has to be done."""


@dataclass(frozen=True)
class Process:
    """One that uses a GPU; memory in MiB."""

    pid: int | None
    name: str | None
    memory_mib: int | None
    container_id: str | None


@dataclass(frozen=True)
class Mig:
    """A MIG device; memory in MiB."""

    profile: str
    uuid: str
    memory_mib: int | None


@dataclass(frozen=True)
class Gpu:
    """One GPU. None is what it, or the gathered subset, does not tell.

    C(problem) says why it can't be read.
    """

    index: int | None
    state: str | None
    pci_bus_id: str | None
    problem: str | None = None
    uuid: str | None = None
    name: str | None = None
    architecture: str | None = None
    serial: str | None = None
    numa_node: int | None = None
    memory_mib: int | None = None
    memory_used_mib: int | None = None
    utilization_percent: int | None = None
    temperature_celsius: int | None = None
    power_milliwatts: int | None = None
    power_limit_milliwatts: int | None = None
    throttle_reasons: tuple[str, ...] = ()
    nvlinks: int | None = None
    links: tuple[tuple[int, int], ...] = ()
    """Index of another GPU and v1's number of how near it is, 0 to 6."""
    accepted: int = 0
    """How many of its findings are accepted."""
    mig_devices: tuple[Mig, ...] = ()
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class Host:
    """One host. C(problem) says why nothing, or no GPU, is known of it."""

    name: str
    state: str
    problem: str | None = None
    driver_version: str | None = None
    module_kind: str | None = None
    cuda_version: str | None = None
    toolkit_version: str | None = None
    docker_version: str | None = None
    gpus: tuple[Gpu, ...] = ()
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """C(ansible_facts.nvidia) as the host gave it."""


def read_host(name: str, result: object, accepted: Collection[str] = ()) -> Host:
    """Return the host of inventory name C(name) from what it has registered() of nvidia_facts.

    C(accepted) are ids of findings that are known and lived with.
    """
    told = mapping(result)
    if told.get("unreachable"):
        said = line(told.get("msg")) or "no reason given"
        return Host(name, "unreachable", said.removeprefix("Task failed: "))
    facts = mapping(mapping(told.get("ansible_facts")).get("ansible_nvidia"))
    if told.get("failed") or not facts:
        return Host(name, "failed", line(told.get("msg")) or "it was not asked")
    driver = mapping(facts.get("driver"))
    findings = tuple(
        sorted(_findings(facts, accepted), key=lambda one: -SEVERITIES.index(one.severity))
    )
    gpus = [_gpu(one, findings) for one in mappings(facts.get("devices"))]
    gpus += [_unreadable(one, findings) for one in mappings(facts.get("unreadable"))]
    reason = line(facts.get("reason"))
    states = [*_states(findings), *(gpu.state for gpu in gpus if gpu.state and not gpu.accepted)]
    if reason and not any(one.accepted and one.gpu is None for one in findings):
        states.append("critical")
    return Host(
        name,
        max(states, key=STATES.index, default="ok"),
        reason,
        driver_version=line(driver.get("version")),
        module_kind=line(driver.get("module_kind")),
        cuda_version=line(driver.get("cuda_version")),
        toolkit_version=line(mapping(facts.get("container_toolkit")).get("version")),
        docker_version=line(mapping(facts.get("docker")).get("version")),
        gpus=tuple(sorted(gpus, key=lambda gpu: (gpu.index is None, gpu.index or 0))),
        findings=findings,
        facts=facts,
    )


def _unreadable(told: Mapping[str, Any], findings: Iterable[Finding]) -> Gpu:
    index, bus = _integer(told.get("index")), line(told.get("pci_bus_id"))
    return Gpu(
        index=index,
        state="critical",
        pci_bus_id=bus,
        problem=line(told.get("reason")) or "no reason given",
        accepted=sum(one.accepted for one in _of_gpu(findings, index, bus)),
    )


def _of_gpu(findings: Iterable[Finding], index: int | None, bus: str | None) -> list[Finding]:
    return [one for one in findings if one.gpu is not None and one.gpu in (bus, str(index))]


def _gpu(facts: Mapping[str, Any], findings: Iterable[Finding]) -> Gpu:
    status, topology = mapping(facts.get("status")), mapping(facts.get("topology"))
    health = mapping(facts.get("health"))
    index, bus = _integer(facts.get("index")), line(facts.get("pci_bus_id"))
    state = line(health.get("state"))
    mine = _of_gpu(findings, index, bus)
    accepted = sum(one.accepted for one in mine)
    states = _states(mine)
    if state in STATES[:3]:
        # The host's own word does not know what is accepted.
        states.append("ok" if accepted else state)
    peers = (
        (_integer(peer.get("index")), _integer(peer.get("link")))
        for peer in mappings(topology.get("peers"))
    )
    temperature = _integer(status.get("temperature_celsius"))
    return Gpu(
        index=index,
        state=max(states, key=STATES.index, default=None),
        pci_bus_id=bus,
        uuid=line(facts.get("uuid")),
        name=line(facts.get("name")),
        architecture=line(facts.get("architecture")),
        serial=line(facts.get("serial")),
        numa_node=_integer(facts.get("numa_node")),
        memory_mib=_integer(facts.get("memory_mib")),
        memory_used_mib=_integer(status.get("memory_used_mib")),
        utilization_percent=_integer(status.get("gpu_utilization_percent")),
        temperature_celsius=(
            _integer(health.get("temperature_celsius")) if temperature is None else temperature
        ),
        power_milliwatts=_integer(status.get("power_milliwatts")),
        power_limit_milliwatts=_integer(status.get("power_limit_milliwatts")),
        throttle_reasons=tuple(_lines(status.get("throttle_reasons"))),
        nvlinks=_integer(mapping(topology.get("nvlink")).get("active_links")),
        links=tuple((i, link) for i, link in peers if i is not None and link is not None),
        accepted=accepted,
        mig_devices=tuple(
            Mig(
                line(mig.get("profile")) or "MIG",
                line(mig.get("uuid")) or "",
                _integer(mig.get("memory_mib")),
            )
            for mig in mappings(facts.get("mig_devices"))
        ),
        processes=tuple(
            Process(
                _integer(one.get("pid")),
                line(one.get("name")),
                _integer(one.get("memory_mib")),
                line(one.get("container_id")),
            )
            for one in mappings(facts.get("processes"))
        ),
    )


def _states(findings: Iterable[Finding]) -> list[str]:
    return [one.severity for one in findings if one.severity in STATES and not one.accepted]


def _findings(facts: Mapping[str, Any], accepted: Collection[str]) -> Iterable[Finding]:
    for one in mappings(facts.get("findings")):
        severity = line(one.get("severity"))
        name = line(one.get("id")) or "other"
        yield Finding(
            severity=severity if severity in SEVERITIES else "warning",
            gpu=line(one.get("gpu")),
            message=line(one.get("message")) or "a finding without a message",
            fix=line(one.get("fix")) or "",
            id=name,
            accepted=name in accepted,
        )


def plain(value: object) -> object:
    """Return a copy of containers, texts and numbers without the classes that Ansible puts around
    them, and with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def registered(hostvars: Mapping[str, Any], host: str, variable: str) -> object:
    """Return what a task has registered for a host, or None if it was never run for it.

    That is what this run has read: facts themselves may come from a cache.
    """
    told = hostvars[host]
    return plain(told[variable]) if variable in told else None


def accepted_findings(hostvars: Mapping[str, Any], host: str, variable: str | None) -> set[str]:
    """Return the ids in a host's variable C(variable): a list, or a text with commas as Ansible
    takes it for a list; none where it has neither."""
    told = registered(hostvars, host, variable) if variable else None
    return set(_lines(told.split(",") if isinstance(told, str) else told))


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the mappings in a list, and none for anything else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _lines(value: object) -> list[str]:
    return [one for one in map(line, value) if one] if isinstance(value, list) else []


def line(value: object) -> str | None:
    """Return text as one line that no terminal takes for a command, or None for anything else."""
    if not isinstance(value, str):
        return None
    joined = " ".join(value.split())
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in joined)


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value)
