# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a host and its GPUs, and what to do: from the facts alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .facts import DeviceFacts, HostFacts
from .model import Device, Host, node_maker
from .subset_facts import DeviceCondition, Services
from .toolkit_vulnerabilities import vulnerabilities

OK, INFO, WARNING, CRITICAL = "ok", "info", "warning", "critical"
_WORST_FIRST = (CRITICAL, WARNING, INFO)
_SLOWED_DOWN = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown")
_MOST_NAMES = 5
"""Of containers, in one sentence."""
_RESET = "stop what uses the GPU and run 'nvidia-smi --gpu-reset -i {gpu}', or reboot the host"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    id: str
    severity: str
    """``critical``: GPUs can't be used or give wrong results. ``warning``: they will or may be."""
    gpu: str | None
    """PCI bus id, else index; ``None`` if it is the host."""
    message: str
    fix: str


def findings(facts: HostFacts) -> tuple[Finding, ...]:
    """Return what is wrong, worst first; of GPUs and services that were looked at."""
    found = [*_driver(facts), *_host(facts.host), *_kernel(facts), *_services(facts)]
    for device in facts.host.devices:
        found += _mig(device)
        condition = facts.devices.get(device.uuid, DeviceFacts()).condition
        if condition is not None:
            found += _device(device.pci_bus_id, condition)
    return tuple(sorted(found, key=lambda one: _WORST_FIRST.index(one.severity)))


def state(gpu: str, found: tuple[Finding, ...]) -> str:
    """Return the worst of what was found of a GPU: ``ok``, ``warning`` or ``critical``."""
    severities = {one.severity for one in found if one.gpu == gpu}
    return next((one for one in (CRITICAL, WARNING) if one in severities), OK)


def _driver(facts: HostFacts) -> Iterator[Finding]:
    driver, reason = facts.host.driver, facts.host.reason
    if facts.libraries_match is False:
        libraries = f"of version {driver.version}" if driver.version else "of another version"
        yield Finding(
            "driver_mismatch",
            CRITICAL,
            None,
            f"the loaded kernel module is {driver.module_version or 'unknown'}, the driver's "
            f"libraries are {libraries}",
            "reboot the host, or stop what uses the GPUs and load the module again",
        )
    elif reason is not None and not facts.host.unreadable:
        yield Finding(
            "driver_unusable",
            CRITICAL,
            None,
            f"no GPU can be used: {reason}",
            "follow the reason, and look at 'dmesg | grep NVRM' on the host",
        )


def _host(host: Host) -> Iterator[Finding]:
    for one in host.unreadable:
        yield Finding(
            "gpu_unreadable",
            CRITICAL,
            one.known_as,
            f"GPU {one.known_as} can't be read: {one.reason}",
            _RESET.format(gpu=one.known_as),
        )
    for path in host.missing_nodes:
        yield Finding(
            "device_node_missing",
            CRITICAL,
            None,
            f"device node {path} is missing, or not the driver's",
            f"run '{node_maker(path)}' as root on this host",
        )


def _kernel(facts: HostFacts) -> Iterator[Finding]:
    if facts.kernel.nouveau_loaded:
        yield Finding(
            "nouveau_loaded",
            CRITICAL,
            None,
            "the kernel module nouveau is loaded and keeps NVIDIA's driver from the GPUs",
            "put 'blacklist nouveau' into a file of /etc/modprobe.d, update the initramfs, reboot",
        )


def _services(facts: HostFacts) -> Iterator[Finding]:
    services = facts.services
    if services is None:
        return
    yield from _fabric_manager(services, facts.host)
    version = services.toolkit_version
    known = vulnerabilities(version) if version else ()
    if known:
        worst = max(known, key=lambda one: one.score)
        newest = max(known, key=lambda one: [int(part) for part in one.fixed_in.split(".")])
        yield Finding(
            "toolkit_vulnerable",
            WARNING,
            None,
            f"NVIDIA Container Toolkit {version} has {len(known)} known vulnerabilities, the worst "
            f"is {worst.id} (CVSS {worst.score})",
            f"update nvidia-container-toolkit to {newest.fixed_in} or later",
        )
    if services.docker is not None and services.docker.containers_at_risk:
        yield _lost_on_reload(services.docker.containers_at_risk)


def _lost_on_reload(names: tuple[str, ...]) -> Finding:
    shown = names if len(names) <= _MOST_NAMES else names[: _MOST_NAMES - 1]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return Finding(
        "gpus_lost_on_reload",
        WARNING,
        None,
        f"containers lose their GPUs with 'systemctl daemon-reload': {', '.join(shown)}{more}",
        "set Docker's cgroup driver to cgroupfs; or name their device nodes, as nvidia_container "
        "does, with 'nvidia-ctk system create-dev-char-symlinks --create-all' at each boot",
    )


def _fabric_manager(services: Services, host: Host) -> Iterator[Finding]:
    manager = services.fabric_manager
    if manager is None or not manager.nvswitches:
        return
    if not manager.running:
        yield Finding(
            "fabric_manager_stopped",
            CRITICAL,
            None,
            f"this host has {manager.nvswitches} NVSwitches, but nvidia-fabricmanager does not "
            "run: CUDA fails with error 802",
            "run 'systemctl enable --now nvidia-fabricmanager'"
            if manager.version
            else f"install nvidia-fabricmanager {host.driver.version or 'of the driver version'}",
        )
    if manager.version and host.driver.version and manager.version != host.driver.version:
        yield Finding(
            "fabric_manager_version",
            CRITICAL,
            None,
            f"nvidia-fabricmanager is {manager.version}, the driver is {host.driver.version}: they "
            "must be the same",
            f"install nvidia-fabricmanager {host.driver.version}",
        )


def _mig(device: Device) -> Iterator[Finding]:
    gpu = device.pci_bus_id
    if device.mig_pending is not None and device.mig_pending != device.mig_enabled:
        yield Finding(
            "mig_mode_pending",
            WARNING,
            gpu,
            f"GPU {gpu} waits for a reset to turn MIG mode {'on' if device.mig_pending else 'off'}",
            _RESET.format(gpu=gpu),
        )
    if device.mig_enabled and not device.mig_devices:
        yield Finding(
            "mig_without_devices",
            WARNING,
            gpu,
            f"GPU {gpu} is in MIG mode without a MIG device: no container can use it",
            "make MIG devices with 'nvidia-smi mig -cgi … -C', or turn MIG mode off",
        )


def _device(gpu: str, told: DeviceCondition) -> Iterator[Finding]:
    yield from _memory(gpu, told)
    if told.errors:
        lost = any("lost" in error or "reset" in error for error in told.errors)
        yield Finding(
            "gpu_errors",
            CRITICAL if lost else WARNING,
            gpu,
            f"GPU {gpu} does not answer all questions: {'; '.join(told.errors)}",
            _RESET.format(gpu=gpu),
        )
    if told.ecc_pending is not None and told.ecc_pending != told.ecc_enabled:
        yield Finding(
            "ecc_mode_pending",
            INFO,
            gpu,
            f"GPU {gpu} waits for a reboot to turn ECC {'on' if told.ecc_pending else 'off'}",
            "reboot the host",
        )
    now, limit = told.temperature_celsius, told.temperature_slowdown_celsius
    if now is not None and limit is not None and now >= limit:
        yield Finding(
            "overheated",
            WARNING,
            gpu,
            f"GPU {gpu} has {now} °C, and slows down from {limit} °C on",
            "look after fans, air flow and room temperature",
        )
    slow = [reason for reason in told.throttle_reasons or () if reason in _SLOWED_DOWN]
    if slow:
        yield Finding(
            "slowed_down",
            WARNING,
            gpu,
            f"GPU {gpu} slows itself down: {', '.join(slow)}",
            "look after cooling and power supply",
        )
    width, most = told.pcie_width, told.pcie_max_width
    if width is not None and most is not None and width < most:
        yield Finding(
            "pcie_narrow",
            WARNING,
            gpu,
            f"GPU {gpu} has {width} of {most} PCIe lanes",
            "reseat the GPU or its riser",
        )
    if told.fabric_state in ("not_started", "in_progress") or told.fabric_error:
        yield Finding(
            "fabric_not_ready",
            CRITICAL,
            gpu,
            f"GPU {gpu} is not in the NVLink fabric (state {told.fabric_state}, error "
            f"{told.fabric_error or 0}): CUDA fails with error 802",
            "look at 'systemctl status nvidia-fabricmanager' and restart it",
        )
    if told.persistence_mode is False:
        yield Finding(
            "persistence_off",
            INFO,
            gpu,
            f"GPU {gpu} is initialised anew by each first user, which takes seconds",
            "run 'systemctl enable --now nvidia-persistenced'",
        )


def _memory(gpu: str, told: DeviceCondition) -> Iterator[Finding]:
    if told.ecc_uncorrected_volatile:
        yield Finding(
            "ecc_uncorrected",
            CRITICAL,
            gpu,
            f"GPU {gpu} had {told.ecc_uncorrected_volatile} uncorrected memory errors since the "
            "driver was loaded",
            _RESET.format(gpu=gpu) + "; if it happens again, have the GPU replaced",
        )
    if told.remapped_rows_failed:
        yield Finding(
            "row_remapping_failed",
            CRITICAL,
            gpu,
            f"GPU {gpu} has no spare memory row left to remap a bad one to",
            "have the GPU replaced",
        )
    if told.remapped_rows_pending:
        yield Finding(
            "row_remapping_pending",
            WARNING,
            gpu,
            f"GPU {gpu} waits for a reset to remap bad memory rows",
            _RESET.format(gpu=gpu),
        )
    if told.retired_pages_pending:
        yield Finding(
            "retired_pages_pending",
            WARNING,
            gpu,
            f"GPU {gpu} waits for a reboot to retire bad memory pages",
            "reboot the host",
        )
