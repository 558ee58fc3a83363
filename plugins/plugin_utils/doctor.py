# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a GPU container host, from the registered results of playbooks/verify.yml.

Nothing but sentences leaves this file: each finding says what is wrong and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .fleet import SEVERITIES, Finding, line, mapping, mappings, read_host

CHECKS = ("facts", "driver_volume", "plugin", "given", "seen")
"""Names of the results: of nvidia_facts, of nvidia_driver_volume, of asking the plugin for the
options of docker run, of which GPUs each container was given, and of nvidia-smi -L in each."""

PROVISION = "run gpufleet.nvidia.site for this host"
TIMED_OUT = 124
"""Status of timeout(1) when time was up."""


def examine(
    name: str, results: Mapping[str, object], accepted: Iterable[str] = ()
) -> list[Finding]:
    """Return what is wrong with the host of inventory name C(name), worst first.

    C(results) has what registered() returns by each name of CHECKS; one that is missing or was
    skipped is not looked at, except C(facts). C(accepted) are ids of findings that are known.
    """
    accepted = set(accepted)
    found = [replace(one, accepted=one.id in accepted) for one in _examine(name, results)]
    return sorted(found, key=lambda one: -SEVERITIES.index(one.severity))


def needs_action(finding: Finding) -> bool:
    """Return whether something has to be done."""
    return finding.severity != "info" and not finding.accepted


def sentence(name: str, finding: Finding) -> str:
    """Return C(host: what is wrong: what to do), one line."""
    return ": ".join(part for part in (name, finding.message.rstrip("."), finding.fix) if part)


def _examine(name: str, results: Mapping[str, object]) -> Iterator[Finding]:
    read = {check: mapping(results.get(check)) for check in CHECKS}
    host = read_host(name, read["facts"])
    if host.state == "unreachable":
        fix = "check address, user and key of this host"
        yield _critical("host_unreachable", f"unreachable: {host.problem}", fix)
        return
    if host.state == "failed":
        fix = f"run 'ansible -m gpufleet.nvidia.nvidia_facts -vvv {name}' to see why"
        yield _critical("facts_unreadable", f"no facts: {host.problem}", fix)
        return
    yield from host.findings
    if host.problem and not any(one.severity == "critical" for one in host.findings):
        fix = "look at 'dmesg | grep NVRM' on the host"
        yield _critical("driver_unusable", host.problem, fix)
    yield from _driver_volume(read["driver_volume"])
    yield from _plugin(read["plugin"], host.facts)
    yield from _containers(read["given"], read["seen"], host.facts)


def _critical(kind: str, message: str, fix: str) -> Finding:
    return Finding("critical", None, message, fix, kind)


def _driver_volume(result: Mapping[str, Any]) -> Iterator[Finding]:
    if not _was_run(result) or "volume" in result:
        return
    # After a driver upgrade each file is another one.
    said = _said(result).split("; ")
    more = [f"and {len(said) - 3} more"] if len(said) > 3 else []
    yield _critical("driver_volume_wrong", "; ".join([*said[:3], *more]), PROVISION)


def _plugin(result: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Finding]:
    if not _was_run(result):
        return
    answer = line(result.get("content")) or ""
    look = "look at 'systemctl status nvidia-docker-plugin' on the host"
    if result.get("status") != 200:
        said = answer or _said(result)
        yield _critical("plugin_silent", f"nvidia-docker-plugin gives no options: {said}", look)
        return
    nodes = (line(device.get("node")) for device in mappings(facts.get("devices")))
    version = line(mapping(facts.get("driver")).get("version"))
    wanted = [f"--device={node}" for node in nodes if node]
    wanted.append(f"--volume=nvidia_driver_{version}:/usr/local/nvidia:ro")
    missing = [option for option in wanted if option not in answer.split()]
    if missing:
        message = f"nvidia-docker-plugin answers without {' '.join(missing)}"
        yield _critical("plugin_incomplete", message, look)


def _containers(
    given: Mapping[str, Any], seen: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[Finding]:
    holders = {
        line(mig.get("uuid")): line(mig.get("gpu_uuid"))
        for device in mappings(facts.get("devices"))
        for mig in mappings(device.get("mig_devices"))
    }
    # By position, not by name: a host may declare a name twice.
    for declared, listed in zip(mappings(given.get("results")), mappings(seen.get("results"))):
        if not _was_run(declared):
            continue
        name = line(mapping(declared.get("item")).get("name")) or "without a name"
        if declared.get("rc") != 0:
            yield _critical(
                "container_missing", f"container {name} is not there: {_said(declared)}", PROVISION
            )
            continue
        wanted = [one for one in (line(declared.get("stdout")) or "").split(",") if one]
        if listed.get("rc") != 0:
            message = f"container {name} can't list its GPUs: {_said(listed)}"
            yield _critical("container_without_gpus", message, _again(name))
            continue
        sees = re.findall(r"UUID: ([^)]+)", line(listed.get("stdout")) or "")
        # nvidia-smi lists the GPU of a MIG device above it.
        allowed = {*wanted, *(holders.get(one) for one in wanted)}
        if not wanted or not set(wanted) <= set(sees) <= allowed:
            message = (
                f"container {name} sees {', '.join(sees) or 'no GPU'} instead of "
                f"{', '.join(wanted) or 'a GPU'}"
            )
            yield _critical("container_sees_others", message, _again(name))


def _again(name: str) -> str:
    return f"run 'docker restart {name}' on the host; if that does not help, {PROVISION}"


def _was_run(result: Mapping[str, Any]) -> bool:
    return bool(result) and not result.get("skipped")


def _said(result: Mapping[str, Any]) -> str:
    """Return why a task failed, in its own words; docker writes some of them to stdout."""
    if result.get("rc") == TIMED_OUT:
        return "no answer in time"
    said = (line(result.get(name)) for name in ("stderr", "stdout", "msg"))
    return next((one for one in said if one), "no reason given")
