# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet as lines for a terminal, and as CSV: one line per GPU."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from .fleet import Finding, Gpu, Host

HEADER = ("HOST", "GPU", "MODEL", "DRIVER", "MEMORY", "UTIL", "TEMP", "STATE", "BUS ID")
RIGHT = (1, 4, 5, 6)
"""Columns of numbers."""

COLUMNS = (
    "host index state problem name uuid pci_bus_id serial architecture driver_version cuda_version "
    "memory_mib memory_used_mib utilization_percent temperature_celsius power_milliwatts "
    "power_limit_milliwatts throttle_reasons mig_devices processes findings"
).split()

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these in front, spreadsheets compute what a cell says."""


def lines(hosts: Iterable[Host]) -> list[str]:
    """Return the table: a header, one line per GPU and one per host without, MIG devices below."""
    rows, notes = [HEADER], {}
    for host in hosts:
        if host.problem or not host.gpus:
            notes[len(rows)] = f"{host.name}  {host.state}: {host.problem or 'no GPU'}"
            rows.append(("",) * len(HEADER))
        for gpu in host.gpus:
            rows.append(_row(host, gpu))
            for mig in gpu.mig_devices:
                memory = _number(mig.memory_mib, " MiB")
                rows.append((host.name, "", f"  {mig.profile}", "", memory, "", "", "", mig.uuid))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        notes.get(number)
        or "  ".join(
            cell.rjust(width) if at in RIGHT else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for number, row in enumerate(rows)
    ]


def summary(hosts: Iterable[Host]) -> str:
    """Return the fleet in one line."""
    hosts = list(hosts)
    states = [host.state for host in hosts]
    bad = [
        f"{states.count(state)} {state}"
        for state in ("unreachable", "failed", "critical", "warning")
        if state in states
    ]
    gpus = sum(len(host.gpus) for host in hosts)
    well = f"hosts: {', '.join(bad)}" if bad else "all well"
    return f"{_counted(len(hosts), 'host')}, {_counted(gpus, 'GPU')}; {well}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def write_csv(hosts: Iterable[Host]) -> str:
    """Return CSV (RFC 4180) with a header: one line per GPU, and one per host without."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for host in hosts:
        writer.writerows([_cell(value) for value in record] for record in _records(host))
    return text.getvalue()


def _records(host: Host) -> Iterator[list[object]]:
    general = [_said(one) for one in host.findings if one.gpu is None]
    if not host.gpus:
        empty: list[object] = [None] * len(COLUMNS)
        empty[0], empty[2], empty[3] = host.name, host.state, host.problem
        empty[-1] = "; ".join(general)
        yield empty
    for gpu in host.gpus:
        names = (gpu.pci_bus_id, str(gpu.index))
        own = [_said(one) for one in host.findings if one.gpu is not None and one.gpu in names]
        values = {
            **vars(gpu),
            "host": host.name,
            "driver_version": host.driver_version,
            "cuda_version": host.cuda_version,
            "throttle_reasons": " ".join(gpu.throttle_reasons),
            "mig_devices": len(gpu.mig_devices),
            "processes": len(gpu.processes),
            "findings": "; ".join([*own, *general]),
        }
        yield [values[name] for name in COLUMNS]


def _said(finding: Finding) -> str:
    return f"(accepted) {finding.message}" if finding.accepted else finding.message


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _row(host: Host, gpu: Gpu) -> tuple[str, ...]:
    memory = _number(gpu.memory_mib, " MiB")
    if gpu.memory_used_mib is not None:
        memory = f"{gpu.memory_used_mib} / {memory}"
    return (
        host.name,
        _number(gpu.index),
        f"unreadable: {gpu.problem}" if gpu.problem else gpu.name or "unknown",
        host.driver_version or "-",
        memory,
        _number(gpu.utilization_percent, " %"),
        _number(gpu.temperature_celsius, " °C"),
        f"{gpu.state or '-'}{f', {gpu.accepted} accepted' if gpu.accepted else ''}",
        gpu.pci_bus_id or "-",
    )


def _number(value: int | None, unit: str = "") -> str:
    return "-" if value is None else f"{value}{unit}"
