# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/cdi_machine.py, cdi_engines.py and cdi_generator.py"""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
    DriverCapability,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    CdiError,
    DriverFilesError,
    NotInstalled,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    cdi_engines,
    cdi_generator,
    cdi_machine,
    driver_volume,
    process,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceNode,
    Driver,
)

NULL = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia2", "/dev/dri/card1")
UTILITY, COMPUTE = DriverCapability.UTILITY, DriverCapability.COMPUTE


def make_node(root: Path, path: str, target: str = "/dev/null") -> None:
    """A link to a device node that is there: root alone can make one."""
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.symlink_to(target)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """/dev and /sys of a machine with a GPU that has two DRM nodes."""
    root = tmp_path / "machine"
    for path in NULL:
        make_node(root, path)
    (root / "dev/nvidia0").write_text("no device node")
    for name in ("card1", "renderD128", "card1-DP-1", "controlD64", "version"):
        (root / "sys/bus/pci/devices/0000:04:00.0/drm" / name).mkdir(parents=True)
    return root


def test_nodes_are_what_stat_says(host, machine) -> None:
    """A file in a node's place, and a node that is not there, are none."""
    status = os.stat("/dev/null")
    found = cdi_machine.nodes(host, ("/dev/dri/card1", "/dev/dri/renderD128"), machine)
    assert {one.path for one in found} == set(NULL)
    assert found[0] == DeviceNode(
        "/dev/nvidiactl", 1, 3, status.st_mode & 0o7777, status.st_uid, status.st_gid
    )


@pytest.mark.parametrize("path", ["/dev/x\0y", "/dev", "/dev/none/x"])
def test_what_can_not_be_a_node_is_none(machine, path) -> None:
    assert cdi_machine.node(path, machine) is None


def test_drm_nodes_are_those_that_sysfs_names(host, machine) -> None:
    """Connectors are there too; a GPU without DRM has none."""
    assert cdi_machine.drm_nodes(host, machine) == {
        "0000:04:00.0": ("/dev/dri/card1", "/dev/dri/renderD128")
    }


def listen(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    one = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        # The whole path may be longer than a socket's name can be.
        one.bind(path.name)
    finally:
        os.chdir(here)
    return one


def test_sockets_of_running_services_are_mounted(machine) -> None:
    """For who can use them; a file of that name is no service."""
    with listen(machine / "run/nvidia-persistenced/socket"):
        found = cdi_machine.sockets({UTILITY}, machine)
        assert [(one.source, one.target, one.writable) for one in found] == [
            ("/run/nvidia-persistenced/socket", "/run/nvidia-persistenced/socket", True)
        ]
        assert cdi_machine.sockets({COMPUTE}, machine) == ()
    (machine / "run/nvidia-fabricmanager").mkdir()
    (machine / "run/nvidia-fabricmanager/socket").write_text("")
    assert cdi_machine.sockets({COMPUTE}, machine) == ()


def test_the_mps_directory_is_mounted_only_if_it_is_roots(machine) -> None:
    """Anybody can make one in /tmp."""
    folder = machine / "tmp/nvidia-mps"
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        assert [one.target for one in cdi_machine.sockets({COMPUTE}, machine)] == [
            "/tmp/nvidia-mps"
        ]
        assert cdi_machine.sockets({UTILITY}, machine) == ()
        os.chown(folder, 1000, 1000)
    assert cdi_machine.sockets({COMPUTE}, machine) == ()
    folder.rmdir()
    folder.symlink_to("/etc")
    assert cdi_machine.sockets({COMPUTE}, machine) == ()


def program(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_toolkit_hooks_need_the_toolkit_and_ldconfig(machine) -> None:
    """The sentence names what is missing: containers would not start."""
    with pytest.raises(NotInstalled, match="nvidia-cdi-hook is not on this host"):
        cdi_machine.toolkit_hooks("550.1", ("/a", "/b"), machine)
    program(machine / "usr/bin/nvidia-cdi-hook")
    with pytest.raises(NotInstalled, match="they run /sbin/ldconfig, which is not"):
        cdi_machine.toolkit_hooks("550.1", ("/a", "/b"), machine)
    program(machine / "sbin/ldconfig")
    hooks = cdi_machine.toolkit_hooks("550.1", ("/a", "/b"), machine)
    assert {hook.path for hook in hooks} == {"/usr/bin/nvidia-cdi-hook"}
    assert [hook.arguments for hook in hooks] == [
        ("enable-cuda-compat", "--host-driver-version=550.1"),
        (
            "update-ldcache",
            "--folder",
            "/a",
            "--folder",
            "/b",
        ),
        ("disable-device-node-modification",),
    ]


ENGINES = [
    ("Docker version 26.1.5+dfsg1, build a72d7cd", "podman version 5.4.2", "26.1.5+dfsg1", "5.4.2"),
    ("Docker version 20.10.24+dfsg1, build 297e128", "", "20.10.24+dfsg1", None),
    ("nonsense", "podman version 4.3.1", None, "4.3.1"),
]


@pytest.mark.parametrize(("docker", "podman", "first", "second"), ENGINES)
def test_engines_tell_their_versions(tmp_path, monkeypatch, docker, podman, first, second) -> None:
    """One that does not tell is left out."""
    program(tmp_path / "dockerd", f"echo '{docker}'")
    program(tmp_path / "podman", f"echo '{podman}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = cdi_engines.Asked(str(tmp_path))
    found = {engine.name: engine.version for engine in asked.installed()}
    wanted = {"docker": first, "podman": second}
    assert found == {name: version for name, version in wanted.items() if version is not None}


def test_without_engines_there_are_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cdi_engines.Asked(str(tmp_path)).installed() == ()


@pytest.fixture
def bash_as_podman(tmp_path, monkeypatch) -> Path:
    """A program that tells a version as Podman does, and is no script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Path(shutil.copy2(os.path.realpath("/bin/bash"), folder / "podman"))


def ask(memory: Path) -> tuple[list[str], list[str]]:
    """Which programs are started, and which versions are told."""
    started: list[str] = []

    def start(arguments):
        one = process.start(arguments)
        started.append(arguments[0])
        return one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cdi_engines, "process", SimpleNamespace(start=start))
        asked = cdi_engines.Asked(str(memory))
        versions = [engine.version for engine in asked.installed()]
        asked.remember()
    return started, versions


def test_an_engine_tells_its_version_once(tmp_path, bash_as_podman) -> None:
    """Until another file is in its place; one with the same time and size is another file."""
    first, version = ask(tmp_path)
    assert first == ["podman"]
    assert version[0].startswith("5.")
    assert ask(tmp_path) == ([], version)
    shutil.copy2(bash_as_podman, tmp_path / "other")
    os.replace(tmp_path / "other", bash_as_podman)
    assert ask(tmp_path) == (["podman"], version)
    assert ask(tmp_path) == ([], version)
    bash_as_podman.unlink()
    assert ask(tmp_path) == ([], [])


@pytest.mark.parametrize("kind", ["script", "link"])
def test_what_starts_others_is_always_asked(tmp_path, bash_as_podman, kind) -> None:
    """Its file stays the same when they are upgraded."""
    if kind == "link":
        bash_as_podman.rename(bash_as_podman.with_name("snap"))
        bash_as_podman.symlink_to("snap")
    else:
        program(bash_as_podman, "echo podman version 5.4.2")
    assert ask(tmp_path)[0] == ["podman"]
    assert ask(tmp_path)[0] == ["podman"]


@pytest.mark.parametrize("spoilt", ["writable file", "writable folder", "link", "half", "binary"])
def test_what_others_could_have_written_is_not_believed(tmp_path, bash_as_podman, spoilt) -> None:
    """Nor half a line; a version that is not true would have a specification refused."""
    _started, version = ask(tmp_path)
    folder = tmp_path / "nvidia-docker-cdi"
    memory = folder / "engines"
    assert memory.stat().st_mode & 0o077 == 0
    memory.write_text(memory.read_text().replace(version[0], "1.0"))
    assert ask(tmp_path) == ([], ["1.0"])
    memory.write_text(memory.read_text().replace(version[0], "1.0"))
    if spoilt == "writable file":
        memory.chmod(0o666)
    elif spoilt == "writable folder":
        folder.chmod(0o777)
    elif spoilt == "link":
        memory.rename(tmp_path / "elsewhere")
        memory.symlink_to(tmp_path / "elsewhere")
    else:
        memory.write_bytes(b"1.0" if spoilt == "half" else b"\xff\0 1")
    assert ask(tmp_path) == (["podman"], version)


# A whole machine: the driver of conftest.py, the host of the other conftest.py.


@pytest.fixture
def whole(host, machine):
    """A host with driver 550.54.15, whose GPU 0 has all nodes."""
    return dataclasses.replace(
        host,
        driver=Driver("550.54.15", "12.4", "12", "550.54.15"),
        devices=host.devices[:1],
        control_nodes=NULL[:2],
    )


def make(host, driver, root, machine, **asked):
    wanted = cdi_generator.Asked("nvidia.com/gpu", ("all",), **asked)
    return cdi_generator.make(host, wanted, root, driver.root, machine)


def test_driver_files_are_those_of_the_driver_volume(whole, driver, root, machine) -> None:
    """Which need not be there yet; all of them are there once it is made."""
    firmware = "/lib/firmware/nvidia/550.54.15/gsp_ga10x.bin"
    driver.file(firmware, "firmware")
    made = make(whole, driver, root, machine)
    assert made.volume.differences == ("it does not exist",)
    assert not root.exists()
    driver_volume.create(root, "550.54.15", driver.root)
    again = make(whole, driver, root, machine)
    assert again.volume.differences == ()
    assert again.plan == made.plan
    sources = {mount.target: mount.source for mount in made.plan.common.files}
    assert all(os.path.isfile(source) for source in sources.values())
    volume = f"{root}/nvidia_driver/550.54.15"
    library = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    assert sources[library] == f"{volume}/lib64/libcuda.so.550.54.15"
    assert sources["/usr/bin/nvidia-smi"] == f"{volume}/bin/nvidia-smi"
    assert sources["/usr/lib/libcuda.so.1"] == f"{volume}/lib/libcuda.so.550.54.15"
    assert sources[firmware] == f"{driver.root}{firmware}"
    assert ("GPUFLEET_DRIVER_VERSION", "550.54.15") in made.plan.common.environment


def tell_processor(machine: Path, flags: str) -> None:
    (machine / "proc").mkdir(exist_ok=True)
    (machine / "proc/cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")


V2 = "fpu sse2 ht pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
PROCESSORS = [
    ("x86_64", V2, True),
    ("x86_64", V2.replace("popcnt", ""), False),
    ("x86_64", None, False),
    ("aarch64", V2, False),
]


@pytest.mark.parametrize(("name", "flags", "has"), PROCESSORS)
def test_links_are_for_processors_whose_loaders_look_for_them(machine, name, flags, has) -> None:
    """A virtual machine's processor may lack what the oldest servers have."""
    if flags is not None:
        tell_processor(machine, flags)
    assert cdi_machine.has_link_directories(name, machine) is has


def test_links_and_hooks_follow_the_processor(
    whole, driver, root, machine, tmp_path, monkeypatch
) -> None:
    """The toolkit's ldconfig has to look where the libraries are."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64", release="6.1"))
    program(machine / "usr/bin/nvidia-cdi-hook")
    program(machine / "sbin/ldconfig")
    one_by_one = make(whole, driver, root, machine, links=tmp_path, toolkit_hooks=True)
    tell_processor(machine, V2)
    made = make(whole, driver, root, machine, links=tmp_path, toolkit_hooks=True)
    assert (one_by_one.links_directory, one_by_one.links) == (None, {})
    assert made.links_directory.parent == tmp_path
    assert made.links_directory.name.startswith("550.54.15-")
    assert {"libcuda.so.1", "libcuda.so.550.54.15", "libnvidia-ml.so.1"} <= set(made.links)
    folders = made.plan.common.hooks[1].arguments[2::2]
    assert folders[:2] == one_by_one.plan.common.hooks[1].arguments[2::2]
    mounted = [
        one.target for one in made.plan.common.files if one.source == str(made.links_directory)
    ]
    assert list(folders[2:]) == mounted
    fewer = make(whole, driver, root, machine, links=tmp_path, capabilities=frozenset({UTILITY}))
    assert fewer.links_directory != made.links_directory
    assert "libcuda.so.1" not in fewer.links


def test_an_upgrade_of_the_packages_takes_no_file_away(whole, driver, root, machine) -> None:
    """Until the reboot containers start, with the loaded driver's libraries."""
    driver_volume.create(root, "550.54.15", driver.root)
    made = make(whole, driver, root, machine)
    for path in list(driver.root.rglob("*.550.54.15")):
        path.unlink()
    assert made.plan.common.files
    assert all(os.path.isfile(mount.source) for mount in made.plan.common.files)


def test_fewer_capabilities_than_the_volume_has_give_fewer_files(
    whole, driver, root, machine
) -> None:
    driver_volume.create(root, "550.54.15", driver.root)
    made = make(whole, driver, root, machine, capabilities=frozenset({UTILITY}))
    names = {os.path.basename(mount.target) for mount in made.plan.common.files}
    assert "libnvidia-ml.so.1" in names
    assert "libcuda.so.1" not in names


def test_more_than_the_volume_has_is_refused(whole, driver, root, machine) -> None:
    """Two tasks that each make the volume anew would never come to rest."""
    wanted = driver_volume.Wanted(frozenset({COMPUTE, UTILITY}))
    driver_volume.create(root, "550.54.15", driver.root, wanted)
    with pytest.raises(CdiError, match="has no files for graphics: make it with"):
        asked = frozenset({COMPUTE, DriverCapability.GRAPHICS})
        make(whole, driver, root, machine, capabilities=asked)
    made = make(whole, driver, root, machine, capabilities=ALL_CAPABILITIES)
    assert made.volume.differences == ()
    assert made.plan.groups == ()


def test_another_driver_than_the_loaded_one_is_refused(whole, driver, root, machine) -> None:
    """Between an upgrade and the reboot the specification of the loaded driver stays."""
    other = dataclasses.replace(whole, driver=Driver("535.1", None, None, "535.1"))
    with pytest.raises(DriverFilesError, match=r"version 550\.54\.15, but the loaded .* is 535\.1"):
        make(other, driver, root, machine)
