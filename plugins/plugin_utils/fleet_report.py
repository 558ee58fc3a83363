# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet as files: one HTML page that needs no network, JSON and CSV."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .fleet import Gpu, Host
from .fleet_table import write_csv

FOLDER = Path(__file__).with_name("fleet_page")
SCRIPTS = ("data.js", "topology.js", "page.js")

FILES = ("report.html", "facts.json", "facts.csv")

GPU_FIELDS = (
    "index state pci_bus_id problem uuid name architecture serial numa_node memory_mib "
    "memory_used_mib utilization_percent temperature_celsius power_milliwatts "
    "power_limit_milliwatts nvlinks"
).split()
"""Of each GPU, in this order: names once instead of once per GPU."""

PROCESSES = 20
"""So many processes per GPU are in the page; all are in the JSON file."""

_compact = partial(json.dumps, separators=(",", ":"), allow_nan=False)


def files(hosts: list[Host], generated: str) -> dict[str, str]:
    """Return the content of each of FILES. C(generated) is the time in ISO 8601."""
    texts = (page(hosts, generated), facts_json(hosts, generated), write_csv(hosts))
    return dict(zip(FILES, texts))


def page(hosts: Iterable[Host], generated: str) -> str:
    """Return the page. C(generated) is the time in ISO 8601."""
    html, style = _read("page.html"), _read("page.css")
    script = "".join(map(_read, SCRIPTS))
    topologies: dict[str, int] = {}
    data = {
        "generated": generated,
        "gpuFields": GPU_FIELDS,
        "hosts": [_host(host, topologies) for host in hosts],
    }
    # Hosts of one model are wired alike: each picture is there once.
    data["topologies"] = [json.loads(text) for text in topologies]
    for name, text in (
        ("STYLE_HASH", _hash(style)),
        ("SCRIPT_HASH", _hash(script)),
        ("STYLE", style),
        ("SCRIPT", script),
        # Last: what the hosts say is not searched for other names.
        ("DATA", _escaped(_compact(data))),
    ):
        html = html.replace(f"@{name}@", text)
    return html


def facts_json(hosts: Iterable[Host], generated: str) -> str:
    """Return the facts of all hosts as JSON, each host on a line of its own."""
    lines = [f"{_compact(host.name)}: {_facts(host)}" for host in hosts]
    return f'{{"generated": {_compact(generated)}, "hosts": {{\n' + ",\n".join(lines) + "\n}}\n"


def _facts(host: Host) -> str:
    told = {
        "state": host.state,
        "problem": host.problem,
        "findings": [vars(one) for one in host.findings],
        "facts": host.facts or None,
    }
    return _compact(told)


def _host(host: Host, topologies: dict[str, int]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": host.name,
        "state": host.state,
        "problem": host.problem,
        "driver": host.driver_version,
        "module": host.module_kind,
        "cuda": host.cuda_version,
        "toolkit": host.toolkit_version,
        "docker": host.docker_version,
        "gpus": [[getattr(gpu, name) for name in GPU_FIELDS] for gpu in host.gpus],
    }
    more = {
        "findings": [
            [one.severity, one.gpu, one.message, one.fix, *([1] if one.accepted else [])]
            for one in host.findings
        ],
        "throttled": _by_position(host.gpus, lambda gpu: list(gpu.throttle_reasons)),
        "migs": _by_position(
            host.gpus,
            lambda gpu: [[one.profile, one.uuid, one.memory_mib] for one in gpu.mig_devices],
        ),
        "processes": _by_position(host.gpus, _processes),
    }
    told.update((name, value) for name, value in more.items() if value)
    if any(gpu.links for gpu in host.gpus):
        picture = _compact([[gpu.index, gpu.links] for gpu in host.gpus if gpu.links])
        told["topology"] = topologies.setdefault(picture, len(topologies))
    return told


def _by_position(gpus: Iterable[Gpu], read: Any) -> Mapping[int, Any]:
    found = ((at, read(gpu)) for at, gpu in enumerate(gpus))
    return {at: value for at, value in found if value}


def _processes(gpu: Gpu) -> list[Any]:
    if not gpu.processes:
        return []
    shown = [
        [one.pid, one.name, one.memory_mib, (one.container_id or "")[:12] or None]
        for one in gpu.processes[:PROCESSES]
    ]
    return [len(gpu.processes), shown]


def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def _escaped(text: str) -> str:
    """Return JSON that can stand in a script element: nothing in it ends it or opens a comment."""
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
