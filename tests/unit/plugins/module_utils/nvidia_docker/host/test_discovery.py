# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/discovery.py, nvml.py and cuda.py: the real pynvml on the simulated driver.

Each machine is read in a process of its own, as the loader keeps the first libnvidia-ml it found.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    LinkType,
    sysfs_pci_bus_id,
)

REPOSITORY = Path(__file__).resolve().parents[6]
SIMULATOR = REPOSITORY / "roles" / "simulated_gpu" / "files"
MACHINES = SIMULATOR / "machines"
MIG_MINORS = "proc/driver/nvidia-caps/mig-minors"

READ = """
import pickle, sys
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
root = Path(sys.argv[1])
host = discovery.discover(root)
details = discovery.describe(host, root) if host.devices else ()
sys.stdout.buffer.write(pickle.dumps((host, details)))
"""


def machine_file(name: str) -> dict:
    return json.loads((MACHINES / f"{name}.json").read_text())


def make_root(root: Path, machine: dict) -> None:
    """/dev, /proc and /sys as the driver of this machine makes them."""
    nodes = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]
    nodes += [f"nvidia{gpu['minor']}" for gpu in machine["gpus"]]
    nodes += [f"nvidia-caps/nvidia-cap{minor}" for minor in range(1, 60)]
    for node in nodes:
        path = root / "dev" / node
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/dev/null")
    # /dev/null has major number 1.
    names = "  1 nvidia-frontend\n  1 nvidia-uvm\n  1 nvidia-caps\n"
    (root / "proc").mkdir()
    (root / "proc/devices").write_text(f"Character devices:\n{names}\nBlock devices:\n  7 loop\n")
    for bus_id, numa_node in machine.get("numa", {}).items():
        folder = root / "sys/bus/pci/devices" / bus_id.lower()
        folder.mkdir(parents=True)
        if numa_node is not None:
            (folder / "numa_node").write_text(f"{numa_node}\n")
    for gpu in machine["gpus"]:
        folder = root / "proc/driver/nvidia/gpus" / sysfs_pci_bus_id(gpu["busid"])
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t Tesla\nDevice Minor: \t {gpu['minor']}\n")
    lines = ["config 1", "monitor 2"]
    for gpu in machine["gpus"]:
        for number, mig in enumerate(gpu.get("migs", ())):
            capability = f"gpu{gpu['minor']}/gi{mig['gi']}"
            lines.append(f"{capability}/access {20 + number}")
            lines.append(f"{capability}/ci{mig['ci']}/access {40 + number}")
    (root / MIG_MINORS).parent.mkdir(parents=True)
    (root / MIG_MINORS).write_text("\n".join(lines) + "\n")
    module = root / "sys/module/nvidia"
    module.mkdir(parents=True)
    (module / "version").write_text(machine["driver"] + "\n")


@pytest.fixture
def read(on_machine):
    """Return a function: machine file name -> (Host, details)."""
    return lambda name, root: pickle.loads(on_machine(name, READ, str(root)))


@pytest.mark.parametrize("name", sorted(path.stem for path in MACHINES.glob("*.json")))
def test_a_machine_is_read_as_its_file_says(name, read, tmp_path) -> None:
    """Identity, order, and None for what NVML does not tell; a bad GPU hides no other."""
    machine = machine_file(name)
    make_root(tmp_path, machine)
    host, _dummy = read(name, tmp_path)
    if "init" in machine:
        assert host.devices == ()
        assert "kernel module is not loaded" in host.reason
        return
    good = [
        (index, gpu)
        for index, gpu in enumerate(machine["gpus"])
        if gpu["uuid"] is not None and not gpu["uuid"].startswith("err:")
    ]
    assert host.driver.version == host.driver.module_version == machine["driver"]
    assert [(d.index, d.uuid, d.minor_number) for d in host.devices] == [
        (index, gpu["uuid"], gpu["minor"]) for index, gpu in good
    ]
    assert [d.name for d in host.devices] == [gpu["name"] for _dummy, gpu in good]
    assert [d.memory_mib for d in host.devices] == [
        None if gpu["mem_total"] is None else gpu["mem_total"] >> 20 for _dummy, gpu in good
    ]
    assert len(host.unreadable) == len(machine["gpus"]) - len(good)
    assert all(one.reason for one in host.unreadable)
    assert (host.reason is None) == bool(good)
    assert host.missing_nodes == ()


def test_a_gpu_without_uuid_is_reported_and_the_others_are_there(read, tmp_path) -> None:
    """v1's daemon did not start."""
    make_root(tmp_path, machine_file("nouuid"))
    host, _dummy = read("nouuid", tmp_path)
    assert [device.index for device in host.devices] == [0, 1, 2, 4]
    assert host.unreadable[0].index == 3
    assert host.unreadable[0].pci_bus_id == "0000:83:00.0"
    assert "UUID" in host.unreadable[0].reason


def test_mig_devices_come_with_their_capability_nodes(read, tmp_path) -> None:
    """Minors are read from /proc/driver/nvidia-caps/mig-minors, by GPU minor number."""
    machine = machine_file("a100_mig")
    make_root(tmp_path, machine)
    host, _dummy = read("a100_mig", tmp_path)
    migs = [mig for device in host.devices for mig in device.mig_devices]
    wanted = [mig for gpu in machine["gpus"] for mig in gpu["migs"]]
    assert [(mig.uuid, mig.profile) for mig in migs] == [
        (mig["uuid"], mig["profile"]) for mig in wanted
    ]
    assert [mig.capability_nodes for mig in migs] == [
        (f"/dev/nvidia-caps/nvidia-cap{20 + n}", f"/dev/nvidia-caps/nvidia-cap{40 + n}")
        for n in range(len(migs))
    ]


def test_a_mig_device_without_capabilities_costs_its_gpu_only(read, tmp_path) -> None:
    """The reason names the file and what it lacks."""
    make_root(tmp_path, machine_file("a100_mig"))
    (tmp_path / MIG_MINORS).unlink()
    host, _dummy = read("a100_mig", tmp_path)
    assert [device.index for device in host.devices] == [0]
    assert "/proc/driver/nvidia-caps/mig-minors does not list gpu1/" in host.unreadable[0].reason


def test_missing_device_nodes_are_named(read, tmp_path) -> None:
    """Also a file that is no device node."""
    make_root(tmp_path, machine_file("zoo5"))
    (tmp_path / "dev/nvidia-uvm").unlink()
    (tmp_path / "dev/nvidia2").unlink()
    (tmp_path / "dev/nvidia0").unlink()
    (tmp_path / "dev/nvidia0").touch()
    host, _dummy = read("zoo5", tmp_path)
    assert host.missing_nodes == ("/dev/nvidia-uvm", "/dev/nvidia2", "/dev/nvidia0")
    assert host.control_nodes == ("/dev/nvidiactl", "/dev/nvidia-uvm-tools")


def test_device_nodes_of_another_driver_are_missing(read, tmp_path) -> None:
    """Those of nvidia-uvm as it was loaded before have an outdated major number."""
    make_root(tmp_path, machine_file("zoo5"))
    devices = tmp_path / "proc/devices"
    devices.write_text(devices.read_text().replace("1 nvidia-uvm", "2 nvidia-uvm"))
    host, _dummy = read("zoo5", tmp_path)
    assert host.missing_nodes == ("/dev/nvidia-uvm",)
    assert host.control_nodes == ("/dev/nvidiactl",)


def test_a_gpu_that_only_the_kernel_knows_is_unreadable(read, tmp_path) -> None:
    """NVML lists what it can open: without its device node a GPU would vanish silently."""
    make_root(tmp_path, machine_file("zoo5"))
    folder = tmp_path / "proc/driver/nvidia/gpus/0001:3b:00.0"
    folder.mkdir()
    (folder / "information").write_text("Device Minor: \t 7\n")
    host, _dummy = read("zoo5", tmp_path)
    assert len(host.devices) == 5
    assert [one.known_as for one in host.unreadable] == ["0001:3b:00.0"]
    assert "/dev/nvidia7" in host.unreadable[0].reason
    assert host.missing_nodes == ("/dev/nvidia7",)


def test_details_follow_nvml_cuda_and_sysfs(read, tmp_path) -> None:
    """Units as the field names say."""
    make_root(tmp_path, machine_file("zoo5"))
    _dummy, details = read("zoo5", tmp_path)
    first, _dummy, third, silent, last = details
    assert (first.power_limit_watts, first.pcie_generation, first.pcie_width) == (300, 3, 16)
    assert (first.compute_capability, first.multiprocessors, first.ecc_enabled) == (
        (6, 0),
        56,
        True,
    )
    assert (first.shared_memory_kib, first.l2_cache_kib, first.global_memory_mib) == (
        64,
        4096,
        16276,
    )
    assert [(one.pci_bus_id, one.link) for one in first.links] == [
        ("0000:07:00.0", LinkType.HOST_PCI_BRIDGE),
        ("0000:08:00.0", LinkType.HOST_PCI_BRIDGE),
    ]
    assert silent.power_limit_watts is None
    assert silent.max_sm_clock_mhz is None
    assert (third.numa_node, silent.numa_node, last.numa_node) == (0, 0, 1)


@pytest.mark.parametrize("name", ["nocuda", "cudadev"])
def test_without_cuda_only_its_fields_are_unknown(name, read, tmp_path) -> None:
    """The GPUs stay."""
    make_root(tmp_path, machine_file(name))
    host, details = read(name, tmp_path)
    assert len(host.devices) == len(details) == 5
    assert details[1].multiprocessors is None
    assert details[1].power_limit_watts == 149


def test_a_host_without_driver_says_why(tmp_path) -> None:
    """No library: nothing raised."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        check=True,
        capture_output=True,
        env={**os.environ, "LD_LIBRARY_PATH": "", "PYTHONPATH": str(REPOSITORY / ".dev")},
    )
    host, details = pickle.loads(done.stdout)
    assert (host.devices, details) == ((), ())
    assert "install the NVIDIA driver" in host.reason


AGAIN = """
import sys
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
for _ in sys.stdin:
    print(discovery.discover().driver.version, flush=True)
"""


@pytest.mark.parametrize(("before", "version"), [("zoo5", "375.26"), ("badinit", "None")])
def test_a_process_sees_that_the_driver_was_replaced(before, version, tmp_path) -> None:
    """The plugin lives through driver upgrades and repairs: libnvidia-ml must not stay loaded."""
    link = tmp_path / "driver"
    for name in (before, "newdriver"):
        command = [sys.executable, str(SIMULATOR / "simulated_gpu.py"), "build", "--no-nodes"]
        machine = ["--machine", str(MACHINES / f"{name}.json"), "--prefix", str(tmp_path / name)]
        subprocess.run([*command, *machine], check=True, capture_output=True)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(link / "lib"),
        "PYTHONPATH": str(REPOSITORY / ".dev"),
    }
    link.symlink_to(tmp_path / before)
    with subprocess.Popen(
        [sys.executable, "-c", AGAIN],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{version}\n"
        link.unlink()
        link.symlink_to(tmp_path / "newdriver")
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stdout.readline() == "384.90\n"


MISSING = (b"nvmlDeviceGetBrand", b"nvmlDeviceGetMigMode", b"nvmlDeviceGetCudaComputeCapability")


def test_a_driver_without_newer_symbols_costs_their_fields_only(tmp_path) -> None:
    """A name that is changed in the dynamic symbol table can't be found any more."""
    machine = machine_file("zoo5")
    make_root(tmp_path / "root", machine)
    prefix = tmp_path / "driver"
    command = [sys.executable, str(SIMULATOR / "simulated_gpu.py"), "build", "--no-nodes"]
    built = subprocess.run(
        [*command, "--machine", str(MACHINES / "zoo5.json"), "--prefix", str(prefix)],
        check=True,
        capture_output=True,
        text=True,
    )
    library = Path(built.stdout.strip())
    content = library.read_bytes()
    for name in MISSING:
        assert name + b"\0" in content
        content = content.replace(name + b"\0", name[:-1] + b"?\0")
    library.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "root")],
        check=True,
        capture_output=True,
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(prefix / "lib"),
            "PYTHONPATH": str(REPOSITORY / ".dev"),
        },
    )
    host, _details = pickle.loads(done.stdout)
    assert [device.uuid for device in host.devices] == [gpu["uuid"] for gpu in machine["gpus"]]
    assert (host.reason, host.driver.version, host.unreadable) == (None, "375.26", ())
    assert {device.brand for device in host.devices} == {None}
    assert not any(device.mig_enabled for device in host.devices)
    assert {device.compute_capability for device in host.devices} == {None}
    assert host.devices[0].memory_mib == 16276


def test_a_broken_library_is_not_called_missing(tmp_path) -> None:
    """The loader's own words are in the reason."""
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        check=True,
        capture_output=True,
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(tmp_path),
            "PYTHONPATH": str(REPOSITORY / ".dev"),
        },
    )
    host, _details = pickle.loads(done.stdout)
    assert host.reason.startswith("libnvidia-ml.so.1 can't be loaded (")
    assert "file too short" in host.reason or "invalid ELF header" in host.reason
