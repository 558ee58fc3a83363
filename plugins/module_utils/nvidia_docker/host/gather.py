# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathers what the module nvidia_facts tells of this machine, whose driver may be sick."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DriverMismatch, NvidiaDockerError
from ..facts import DeviceFacts, DeviceNode, HostFacts, KernelFacts
from ..model import Device, Driver, LinkType, UnreadableDevice
from . import bounded, discovery, kernel, node_facts, nvml, pci, process_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..subset_facts import GpuProcess, NvLinks, Services
    from .nvml_facts import CloseLook

_MOST_SILENT = 2
"""After so many GPUs that make the driver hang, no more are asked."""


class _Unusable(NamedTuple):
    """NVML can't be used, for this reason."""

    reason: str
    mismatch: bool


class _Asking(NamedTuple):
    """The next answer is about this GPU."""

    gpu: int


class _Read(NamedTuple):
    device: Device
    facts: DeviceFacts


class _Connected(NamedTuple):
    """How a GPU is connected; it and its peers by index."""

    gpu: int
    nvlink: NvLinks | None
    peers: tuple[tuple[int, LinkType, bool | None], ...]


def gather(subsets: Collection[str], patience_s: float, root: Path = Path("/")) -> HostFacts:
    """Return what ``subsets`` (names of subsets.py) mean of this machine.

    ``root`` is where /dev, /proc, /sys and programs are looked up. Never raises for a machine that
    is sick. ``patience_s`` is for how many seconds the driver may be silent; a GPU with which it is
    silent for longer is unreadable. To be called in a process with one thread.
    """
    told = _ask_driver(subsets, patience_s, root)
    unreadable = tuple(told.unreadable[index] for index in sorted(told.unreadable))
    devices = tuple(told.read[index].device for index in sorted(told.read))
    host = discovery.assemble(root, told.driver, devices, unreadable, told.reason)
    nodes = node_facts.read(root, host)
    return HostFacts(
        gathered=tuple(subsets),
        host=host,
        libraries_match=_libraries_match(told),
        kernel=KernelFacts(
            kernel.module_kind(root), kernel.modules(root), kernel.nouveau_is_loaded(root)
        ),
        device_nodes=nodes,
        devices={one.device.uuid: told.facts(one) for one in told.read.values()},
        services=_services(root, nodes) if "health" in subsets else None,
    )


def _libraries_match(told: _Told) -> bool | None:
    if told.mismatch:
        return False
    versions = (told.driver.version, told.driver.module_version)
    return None if None in versions else versions[0] == versions[1]


def _services(root: Path, nodes: tuple[DeviceNode, ...]) -> Services:
    # Here, as the default subset does without it and its imports.
    from . import services

    return services.read(root, nodes)


class _Told:
    """What the driver has told so far."""

    def __init__(self, root: Path) -> None:
        self.driver = Driver(None, None, None, kernel.module_version(root))
        self.count = 0
        self.asking: int | None = None
        self.read: dict[int, _Read] = {}
        self.unreadable: dict[int, UnreadableDevice] = {}
        self.connected: dict[int, _Connected] = {}
        self.reason: str | None = None
        self.mismatch = False
        self._kernel_gpus = kernel.gpus(root)

    def take(self, item: object) -> None:
        if isinstance(item, Driver):
            self.driver = item
        elif isinstance(item, int):
            self.count = item
        elif isinstance(item, _Asking):
            self.asking = item.gpu
        elif isinstance(item, _Read):
            self.read[item.device.index] = item
            self.asking = None
        elif isinstance(item, UnreadableDevice) and item.index is not None:
            self.unreadable[item.index] = item
            self.asking = None
        elif isinstance(item, _Connected):
            self.connected[item.gpu] = item
        elif isinstance(item, _Unusable):
            self.reason = item.reason
            self.mismatch = item.mismatch

    def give_up(self, index: int, reason: str) -> None:
        # NVML counts in the order of PCI bus ids.
        known = len(self._kernel_gpus) == self.count
        bus_id = self._kernel_gpus[index].pci_bus_id if known else None
        self.unreadable[index] = UnreadableDevice(index, bus_id, reason)
        self.asking = None

    def give_up_the_rest(self, reason: str) -> None:
        for index in {*range(self.count)} - {*self.read, *self.unreadable}:
            self.give_up(index, reason)

    def facts(self, one: _Read) -> DeviceFacts:
        connected = self.connected.get(one.device.index)
        if connected is None:
            return one.facts
        from ..subset_facts import DeviceTopology, Peer

        peers = tuple(
            Peer(index, self.read[index].device.pci_bus_id, link, p2p)
            for index, link, p2p in connected.peers
            if index in self.read
        )
        return dataclasses.replace(one.facts, topology=DeviceTopology(connected.nvlink, peers))


def _ask_driver(subsets: Collection[str], patience_s: float, root: Path) -> _Told:
    """Ask as long as something is to be told and somebody answers."""
    told = _Told(root)
    silent: list[int] = []
    while True:
        done = {*told.read, *told.unreadable}
        try:
            for item in bounded.items(partial(_answers, subsets, root, done, silent), patience_s):
                told.take(item)
            return told
        except (bounded.Silent, bounded.Ended) as error:
            said = str(error) or f"NVML has not answered for {patience_s:g} s"
        if told.asking is None:
            if not done:
                told.reason = f"{said}: look at 'dmesg | grep NVRM' and reboot the host"
            told.give_up_the_rest(f"not asked: {said}")
            return told
        silent.append(told.asking)
        told.give_up(told.asking, f"{said}, asked about this GPU")
        if len(silent) == _MOST_SILENT:
            hung = " and ".join(map(str, silent))
            told.give_up_the_rest(f"not asked, as NVML did not answer about GPUs {hung}")
            return told


def _answers(
    subsets: Collection[str], root: Path, done: Collection[int], silent: Collection[int]
) -> Iterator[object]:
    """In the process that may hang: what take() takes; of GPUs that are not ``done``."""
    try:
        with nvml.session() as session:
            yield discovery.read_driver(session, root)
            gpus = session.devices()
            yield len(gpus)
            tables = discovery.KernelTables.read(root)
            for gpu in gpus:
                if gpu.index not in done:
                    yield _Asking(gpu.index)
                    yield _read(gpu, subsets, tables, root)
            if "topology" in subsets:
                yield from _connected([gpu for gpu in gpus if gpu.index not in silent])
    except NvidiaDockerError as error:
        yield _Unusable(str(error), isinstance(error, DriverMismatch))


def _read(
    gpu: nvml.NvmlDevice, subsets: Collection[str], tables: discovery.KernelTables, root: Path
) -> _Read | UnreadableDevice:
    try:
        device = discovery.read_device(gpu, tables)
    except NvidiaDockerError as error:
        return discovery.unreadable_device(gpu, error)
    facts: dict[str, Any] = {}
    look = gpu.closely()
    link = pci.link(root, device.pci_bus_id)
    if "devices" in subsets:
        known = tables.gpus.get(device.pci_bus_id)
        facts["properties"] = dataclasses.replace(
            look.properties(),
            vbios=look.vbios() if known is None else known.vbios,
            gsp_firmware=None if known is None else known.gsp_firmware,
            pcie_max_generation=link.max_generation,
            pcie_max_width=link.max_width,
            numa_node=pci.numa_node(root, device.pci_bus_id),
            cpu_affinity=pci.cpu_affinity(root, device.pci_bus_id),
        )
    if "status" in subsets:
        facts["activity"] = look.activity()
    if "processes" in subsets:
        facts["processes"] = _processes(gpu, device, root)
    if "health" in subsets:
        facts["condition"] = dataclasses.replace(
            gpu.closely().condition(), pcie_width=link.width, pcie_max_width=link.max_width
        )
    return _Read(device, DeviceFacts(**facts))


def _processes(gpu: nvml.NvmlDevice, device: Device, root: Path) -> tuple[GpuProcess, ...] | None:
    """Of each MIG device, as only that tells which one it is; else of the GPU."""
    from ..subset_facts import GpuProcess

    looks: list[tuple[str | None, CloseLook]] = [(None, gpu.closely())]
    if device.mig_enabled:
        uuids = {mig.index: mig.uuid for mig in device.mig_devices}
        with suppress(NvidiaDockerError):
            looks = [(uuids.get(mig.index), mig.closely()) for mig in gpu.mig_devices()]
    lists = [(uuid, look.processes()) for uuid, look in looks]
    if lists and all(found is None for _uuid, found in lists):
        return None
    processes = [
        GpuProcess(pid, name, kind, memory, uuid, process_container.container_id(root, pid))
        for uuid, found in lists
        for kind, pid, name, memory in found or ()
    ]
    return tuple(sorted(processes, key=lambda one: (one.pid, one.type, one.mig_uuid or "")))


def _connected(gpus: list[nvml.NvmlDevice]) -> Iterator[_Connected]:
    """One for each GPU that can be asked; each pair is asked about once."""
    pairs: dict[tuple[int, int], tuple[LinkType, bool | None]] = {}
    for number, gpu in enumerate(gpus):
        for other in gpus[number + 1 :]:
            with suppress(NvidiaDockerError):
                pairs[gpu.index, other.index] = gpu.reach(other)
        with suppress(NvidiaDockerError):
            nvlink = gpu.closely().nvlinks()
            peers = tuple(
                (other.index, *pairs[key])
                for other in gpus
                for key in [(min(gpu.index, other.index), max(gpu.index, other.index))]
                if key in pairs
            )
            yield _Connected(gpu.index, nvlink, peers)
