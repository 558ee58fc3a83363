# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads this machine into the records of model.py. Nothing else opens NVML or libcuda."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import DriverUnavailable, NvidiaDockerError
from ..model import (
    CONTROL_NODES,
    REQUIRED_CONTROL_NODES,
    ComputeProcess,
    Device,
    DeviceDetails,
    DeviceStatus,
    Driver,
    Host,
    MigDevice,
    UnreadableDevice,
    capability_node,
    device_node,
)
from . import kernel, nvml
from .device_nodes import DeviceNodes
from .nvml_asker import NvmlError

_ROOT = Path("/")


def discover(root: Path = _ROOT) -> Host:
    """Return what a container needs to know of this machine.

    ``root`` is where /dev, /proc and /sys are looked up. Never raises for a machine without GPU or
    driver: ``Host.reason`` says why there is nothing. A GPU that does not tell its UUID, minor
    number or PCI bus id is in ``Host.unreadable``; the others are served.
    """
    devices: list[Device] = []
    unreadable: list[UnreadableDevice] = []
    driver = Driver(None, None, None, kernel.module_version(root))
    reason = None
    try:
        with nvml.session() as session:
            driver = read_driver(session, root)
            tables = KernelTables.read(root)
            for gpu in session.devices():
                try:
                    devices.append(read_device(gpu, tables))
                except NvidiaDockerError as error:
                    unreadable.append(unreadable_device(gpu, error))
    except NvidiaDockerError as error:
        reason = str(error)
    return assemble(root, driver, devices, unreadable, reason)


@dataclasses.dataclass(frozen=True)
class KernelTables:
    """What the kernel tells of its GPUs, read once for all of them."""

    gpus: dict[str, kernel.KernelGpu]
    """By PCI bus id."""
    capability_minors: dict[str, int]

    @classmethod
    def read(cls, root: Path) -> KernelTables:
        """Read them below ``root``."""
        gpus = {gpu.pci_bus_id: gpu for gpu in kernel.gpus(root)}
        return cls(gpus, kernel.capability_minors(root))


def read_driver(session: nvml.Nvml, root: Path) -> Driver:
    """Return the driver behind an open NVML."""
    return Driver(
        session.driver_version(),
        session.cuda_version(),
        session.nvml_version(),
        kernel.module_version(root),
    )


def assemble(
    root: Path,
    driver: Driver,
    devices: Iterable[Device],
    unreadable: Iterable[UnreadableDevice],
    reason: str | None,
) -> Host:
    """Return the host of what NVML told, with the device nodes; ``reason`` if it told nothing."""
    devices, unreadable = tuple(devices), tuple(unreadable)
    if reason is None:
        unreadable += tuple(_not_listed(root, (*devices, *unreadable)))
        if not devices:
            reason = "the driver is loaded but reports no GPU"
            reason = unreadable[0].reason if unreadable else reason
    nodes = DeviceNodes(root)
    return Host(
        driver=driver,
        devices=devices,
        unreadable=unreadable,
        control_nodes=tuple(path for path in CONTROL_NODES if nodes.is_right(path)),
        missing_nodes=_missing(root, nodes, devices),
        reason=reason,
    )


def require_driver(host: Host) -> str:
    """Return the driver version of this host, or raise DriverUnavailable with the reason."""
    if host.driver.version is None:
        raise DriverUnavailable(host.reason or "NVML does not tell the driver version")
    return host.driver.version


def module_version(root: Path = _ROOT) -> str | None:
    """Return the version of the loaded kernel module, ``None`` if none is loaded or tells."""
    return kernel.module_version(root)


def describe(host: Host, root: Path = _ROOT) -> tuple[DeviceDetails, ...]:
    """Return the details of ``host.devices``, in the same order.

    A field that NVML or CUDA refuses for whatever reason is ``None``: details never hide a GPU.
    Raises DriverUnavailable if NVML can't be used any more.
    """
    if not host.devices:
        return ()
    # Here, as most who discover never describe.
    from . import cuda, device_details

    library = cuda.load()
    with nvml.session() as session:
        by_index = {gpu.index: gpu for gpu in session.devices()}
        on_cuda = {
            device.uuid: library.device(device.pci_bus_id) if library else None
            for device in host.devices
        }
        return tuple(
            device_details.read(device, by_index, host.devices, on_cuda, root)
            for device in host.devices
        )


def sample(host: Host) -> tuple[DeviceStatus, ...]:
    """Return what ``host.devices`` do now, in the same order.

    A field that NVML refuses for whatever reason is ``None``: a lost GPU spoils no other. Raises
    DriverUnavailable if NVML can't be used any more.
    """
    if not host.devices:
        return ()
    with nvml.session() as session:
        return tuple(_status(session.device(device)) for device in host.devices)


def compute_processes(host: Host) -> dict[str, tuple[ComputeProcess, ...] | None]:
    """Return what computes on each GPU or, in MIG mode, on each MIG device, by UUID; ``None``: it
    does not tell. Raises DriverUnavailable if NVML can't be used any more.
    """
    uuids: list[str] = []
    for device in host.devices:
        # Of a GPU in MIG mode NVML lists the processes of all its MIG devices.
        parts = device.mig_devices if device.mig_enabled else (device,)
        uuids += [part.uuid for part in parts]
    if not uuids:
        return {}
    with nvml.session() as session:
        return {uuid: session.compute_processes(uuid) for uuid in uuids}


@contextmanager
def kept_open() -> Iterator[None]:
    """Let what is called inside share one opening of NVML. Never raises: it says why if asked.

    Without persistence mode a GPU is initialised anew, for a second or more, by each opening. It is
    closed in the end, as a process that has it open keeps ``rmmod nvidia`` from working.
    """
    with ExitStack() as stack:
        with suppress(DriverUnavailable):
            stack.enter_context(nvml.session())
        yield


def _status(gpu: nvml.NvmlDevice) -> DeviceStatus:
    try:
        return gpu.status()
    except NvmlError:
        return DeviceStatus()


def read_device(gpu: nvml.NvmlDevice, tables: KernelTables) -> Device:
    """Return a GPU with its MIG devices. Raises NvidiaDockerError if it can't be identified."""
    uuid, bus_id = gpu.uuid(), gpu.pci_bus_id()
    known = tables.gpus.get(bus_id or "")
    # One call into the driver less, where the kernel tells it.
    minor = gpu.minor_number() if known is None else known.minor_number
    if uuid is None or minor is None or bus_id is None:
        unknown = [
            what
            for what, value in (("UUID", uuid), ("minor number", minor), ("PCI bus id", bus_id))
            if value is None
        ]
        raise DriverUnavailable(f"GPU {gpu.index} does not tell its {' and '.join(unknown)}")
    mig_enabled, mig_pending = gpu.mig_mode()
    device = Device(
        index=gpu.index,
        uuid=uuid,
        minor_number=minor,
        pci_bus_id=bus_id,
        name=gpu.name(),
        memory_mib=gpu.memory_mib(),
        compute_capability=gpu.compute_capability(),
        brand=gpu.brand(),
        mig_enabled=mig_enabled,
        mig_devices=(),
        mig_pending=mig_pending,
    )
    if not device.mig_enabled:
        return device
    migs = tuple(_mig_device(mig, device, tables.capability_minors) for mig in gpu.mig_devices())
    return dataclasses.replace(device, mig_devices=migs)


def _mig_device(
    mig: nvml.NvmlMigDevice, device: Device, capability_minors: dict[str, int]
) -> MigDevice:
    uuid, gpu_instance, compute_instance = (
        mig.uuid(),
        mig.gpu_instance_id(),
        mig.compute_instance_id(),
    )
    if uuid is None or gpu_instance is None or compute_instance is None:
        raise DriverUnavailable(f"MIG device {device.index}:{mig.index} does not tell its identity")
    name = mig.name()
    profile = re.search(r"\bMIG (\S+)$", name or "")
    # The kernel numbers capabilities by the GPU's minor number.
    gpu_capability = f"gpu{device.minor_number}/gi{gpu_instance}"
    keys = (f"{gpu_capability}/access", f"{gpu_capability}/ci{compute_instance}/access")
    absent = [key for key in keys if key not in capability_minors]
    if absent:
        raise DriverUnavailable(
            f"MIG device {uuid}: /{kernel.MIG_MINORS} does not list {', '.join(absent)}"
        )
    return MigDevice(
        uuid=uuid,
        index=mig.index,
        gpu_index=device.index,
        gpu_uuid=device.uuid,
        gpu_instance_id=gpu_instance,
        compute_instance_id=compute_instance,
        name=name,
        profile=profile[1] if profile else None,
        memory_mib=mig.memory_mib(),
        node=device.node,
        capability_nodes=tuple(capability_node(capability_minors[key]) for key in keys),
    )


def unreadable_device(gpu: nvml.NvmlDevice, error: NvidiaDockerError) -> UnreadableDevice:
    """Return a GPU that read_device() could not read, for that reason."""
    bus_id = None
    with suppress(NvidiaDockerError):
        bus_id = gpu.pci_bus_id()
    return UnreadableDevice(gpu.index, bus_id, str(error))


def _not_listed(root: Path, listed: Iterable[Device | UnreadableDevice]) -> list[UnreadableDevice]:
    """NVML is silent about a GPU that it can't open, the kernel is not."""
    known = {one.pci_bus_id for one in listed}
    return [
        UnreadableDevice(
            None,
            gpu.pci_bus_id,
            f"the kernel drives GPU {gpu.pci_bus_id}, but NVML does not list it: "
            f"look at its device node {device_node(gpu.minor_number)}",
        )
        for gpu in kernel.gpus(root)
        if gpu.pci_bus_id not in known
    ]


def _missing(root: Path, nodes: DeviceNodes, devices: Iterable[Device]) -> tuple[str, ...]:
    wanted = list(REQUIRED_CONTROL_NODES)
    wanted += [device_node(gpu.minor_number) for gpu in kernel.gpus(root)]
    for device in devices:
        wanted += device.device_nodes
        wanted += [path for mig in device.mig_devices for path in mig.device_nodes]
    return tuple(path for path in dict.fromkeys(wanted) if not nodes.is_right(path))
