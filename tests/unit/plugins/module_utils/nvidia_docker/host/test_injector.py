# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/injector.py: what a container gets by each kind, and which kinds a machine has"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_spec import (
    BindMount,
    Edits,
    Node,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_capabilities import (  # noqa: E501
    read,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_plan import (
    ContainerPlan,
    DeviceRequest,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    CdiError,
    DriverVolumeError,
    InjectionUnavailable,
    MissingDeviceNode,
    NotInstalled,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import injector
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.cdi_devices import (  # noqa: E501
    CdiDevices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.engine import (
    EngineInfo,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.injector import (
    Injector,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    Mount,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Host
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import Image
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select

CDI_DEVICES = CdiDevices(
    ("nvidia.com/gpu=GPU-836c",),
    (
        Edits(
            nodes=(Node("/dev/nvidia2"),),
            mounts=(BindMount("/x/libcuda.so.1", "/usr/lib64/libcuda.so.1"),),
            groups=(44,),
        ),
    ),
)


class Machine:
    """A machine that has all kinds; each can be taken away."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.runtimes = {"runc": "runc", "nvidia": "/usr/bin/nvidia-container-runtime"}
        self.version = "26.1.5"
        self.default = "runc"
        self.directories: tuple[str, ...] = ("/etc/cdi",)
        self.hook: Exception | None = None
        self.volume_driver: Exception | None = None
        self.specification: Exception | None = None
        self.asked = 0

    def info(self) -> EngineInfo:
        self.asked += 1
        return EngineInfo(self.version, self.runtimes, self.directories, self.default)

    def require_hook(self, engine: object) -> None:
        if self.hook is not None:
            raise self.hook  # pylint: disable=raising-bad-type

    def require_volume_driver(self, name: str) -> None:
        if self.volume_driver is not None:
            raise self.volume_driver  # pylint: disable=raising-bad-type

    def find(self, host: Host, *_others: object) -> CdiDevices:
        if self.specification is not None:
            raise self.specification  # pylint: disable=raising-bad-type
        return CDI_DEVICES

    def plan(
        self, kind: str, gpus: str = "0", *capabilities: str, check: bool = True, **env: str
    ) -> ContainerPlan:
        wanted = read(capabilities or None, env)
        devices = select(self.host, gpus.split())
        one = Injector(self.host, self, check)
        return one.best(devices, wanted) if kind == "auto" else one.plan(kind, devices, wanted)


@pytest.fixture
def machine(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    one = Machine(host)
    monkeypatch.setattr(injector, "require_volume_driver", one.require_volume_driver)
    monkeypatch.setattr(injector.cdi_devices, "find", one.find)
    monkeypatch.setattr(injector.nvidia_hook, "require", one.require_hook)
    monkeypatch.setattr(injector, "_ROOT", tmp_path)
    return one


def test_a_driver_volume(machine: Machine) -> None:
    """It is what a container has always been given; the engine is not asked for anything."""
    found = machine.plan("driver_volume", "0 3:1")
    assert found.injection.device_nodes[3:] == (
        "/dev/nvidia2",
        "/dev/nvidia3",
        "/dev/nvidia-caps/nvidia-cap11",
        "/dev/nvidia-caps/nvidia-cap12",
    )
    assert found.injection.mounts == (Mount("nvidia_driver", "/usr/local/nvidia", "nvidia-docker"),)
    assert (found.kind, found.driver) == ("driver_volume", "375.26")
    assert (found.requests, found.runtime) == ((), None)
    assert not machine.asked


@pytest.mark.parametrize("words", [("all",), ("compute",), ("display", "graphics")])
def test_capabilities_without_nodes_make_no_difference_to_a_driver_volume(
    machine: Machine, words: tuple[str, ...]
) -> None:
    """What of the driver's files is there is the volume's matter."""
    found = machine.plan("driver_volume", "0", *words)
    plain = machine.plan("driver_volume")
    assert (found.injection, found.effective) == (plain.injection, plain.effective)
    assert found.capabilities == read(words, {}).capabilities


def test_display_has_a_node(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia-modeset").symlink_to("/dev/null")
    found = machine.plan("driver_volume", "0", "display")
    assert found.injection.device_nodes[-1] == "/dev/nvidia-modeset"
    assert "display" in {one.value for one in found.effective}


def test_cdi(machine: Machine) -> None:
    """Docker ignores the groups of a specification."""
    found = machine.plan("cdi")
    assert found.requests == (DeviceRequest("cdi", ("nvidia.com/gpu=GPU-836c",)),)
    assert found.injection.groups == (44,)
    assert found.injection.device_nodes == ()
    assert found.nodes_of_others == ("/dev/nvidia2",)
    assert found.effective == machine.plan("driver_volume").effective


def test_a_device_request(machine: Machine) -> None:
    found = machine.plan("device_request", "1 0 3:0", "video", "compute")
    assert found.requests == (
        DeviceRequest("nvidia", ("GPU-836c", "GPU-b78a-1", "MIG-aa"), ("gpu", "compute", "video")),
    )
    assert found.injection.environment == ()
    assert found.effective == found.capabilities


def test_a_capability_that_dockerd_does_not_know_goes_by_the_variable(machine: Machine) -> None:
    """It would refuse the request."""
    found = machine.plan("device_request", "0", "ngx", "compute")
    assert found.requests == (DeviceRequest("nvidia", ("GPU-836c",), ("gpu",)),)
    assert found.injection.environment == (("NVIDIA_DRIVER_CAPABILITIES", "compute,ngx"),)


def test_the_runtime(machine: Machine) -> None:
    found = machine.plan("runtime", "1 0")
    assert (found.runtime, found.requests) == ("nvidia", ())
    assert found.injection.environment == (
        ("NVIDIA_VISIBLE_DEVICES", "GPU-836c,GPU-b78a-1"),
        ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
    )


RUNTIMES = [
    ({"nvidia": ""}, "nvidia"),
    ({"gpu": "/opt/nvidia-container-runtime", "a": "/bin/nvidia-container-runtime"}, "a"),
    ({"cdi": "/usr/bin/nvidia-container-runtime.cdi", "g": "nvidia-container-runtime"}, "g"),
]


@pytest.mark.parametrize(("runtimes", "name"), RUNTIMES)
def test_the_runtime_may_have_another_name(machine: Machine, runtimes: dict, name: str) -> None:
    machine.runtimes = runtimes
    assert machine.plan("runtime").runtime == name


DEFAULTS = [
    ("nvidia", {"NVIDIA_VISIBLE_DEVICES": "all"}, True),
    ("nvidia", {"CUDA_VERSION": "8.0"}, True),
    ("nvidia", {"NVIDIA_VISIBLE_DEVICES": "void"}, False),
    ("nvidia", {}, False),
    ("other", {"NVIDIA_VISIBLE_DEVICES": "all"}, True),
    ("runc", {"NVIDIA_VISIBLE_DEVICES": "all"}, False),
]


@pytest.mark.parametrize(("default", "env", "told"), DEFAULTS)
def test_nvidias_runtime_gives_nothing_beside_ours(
    machine: Machine, default: str, env: dict[str, str], told: bool
) -> None:
    """Where it is Docker's default: images say ``all``, and the container would get all."""
    machine.runtimes["other"] = "/opt/nvidia-container-runtime"
    machine.default = default
    found = injector.hands_off(machine, Image("i", {}, env))
    assert found.environment == ((("NVIDIA_VISIBLE_DEVICES", "void"),) if told else ())
    assert machine.asked == (1 if env and "void" not in env.values() else 0)


@pytest.mark.parametrize("kind", ["device_request", "runtime"])
def test_nvidias_own_check_is_switched_off_where_ours_lets_pass(
    machine: Machine, kind: str
) -> None:
    switch = ("NVIDIA_DISABLE_REQUIRE", "1")
    assert switch in machine.plan(kind, check=False).injection.environment
    assert switch not in machine.plan(kind).injection.environment


TAKEN_AWAY: list[tuple[str, Callable[[Machine], Any], type, str]] = [
    (
        "driver_volume",
        lambda one: setattr(one, "volume_driver", NotInstalled("no socket")),
        NotInstalled,
        "no socket",
    ),
    (
        "driver_volume",
        lambda one: setattr(one, "volume_driver", DriverVolumeError("no answer")),
        DriverVolumeError,
        "no answer",
    ),
    (
        "cdi",
        lambda one: setattr(one, "version", "20.10.24"),
        InjectionUnavailable,
        "Docker 20.10.24 takes no CDI devices, which came with Docker 25",
    ),
    (
        "cdi",
        lambda one: setattr(one, "directories", ()),
        NotInstalled,
        "Docker's CDI is switched off: apply role gpufleet.nvidia.docker",
    ),
    (
        "cdi",
        lambda one: setattr(one, "specification", CdiError("not true")),
        CdiError,
        "not true",
    ),
    (
        "device_request",
        lambda one: setattr(one, "hook", NotInstalled("no hook")),
        NotInstalled,
        "no hook",
    ),
    (
        "runtime",
        lambda one: one.runtimes.pop("nvidia"),
        NotInstalled,
        "Docker has no runtime nvidia: install nvidia-container-toolkit",
    ),
]


@pytest.mark.parametrize(("kind", "take_away", "error", "sentence"), TAKEN_AWAY)
def test_a_kind_that_is_not_to_be_had(
    machine: Machine, kind: str, take_away: Callable, error: type, sentence: str
) -> None:
    """Why, and which kinds are."""
    take_away(machine)
    with pytest.raises(error) as refused:
        machine.plan(kind)
    others = [one for one in ("driver_volume", "cdi", "device_request", "runtime") if one != kind]
    assert str(refused.value).startswith(f"injection {kind} is not to be had on this host: ")
    assert sentence in str(refused.value)
    assert str(refused.value).endswith(f"; other kinds that it has: {', '.join(others)}")


def test_the_best_kind_is_the_first_that_there_is(machine: Machine) -> None:
    assert machine.plan("auto").kind == "driver_volume"
    machine.volume_driver = NotInstalled("no socket")
    assert machine.plan("auto").kind == "cdi"
    machine.specification = CdiError("not true")
    assert machine.plan("auto").kind == "device_request"
    machine.hook = NotInstalled("no hook")
    assert machine.plan("auto").kind == "runtime"
    machine.runtimes = {}
    with pytest.raises(InjectionUnavailable) as refused:
        machine.plan("auto")
    assert str(refused.value).startswith(
        "this host has no kind of injection: driver_volume: no socket; cdi: not true; "
    )


def test_a_bare_host_is_one_where_something_is_not_installed_yet(machine: Machine) -> None:
    """So check mode says that nothing was checked."""
    machine.volume_driver = NotInstalled("no socket")
    machine.directories = ()
    machine.hook = NotInstalled("no hook")
    machine.runtimes = {}
    with pytest.raises(NotInstalled, match="no kind of injection"):
        machine.plan("auto")


def test_what_a_specification_lacks_is_told_if_it_was_demanded(machine: Machine) -> None:
    """What an image wishes for is not: many say ``all``."""
    assert machine.plan("cdi", "0", "compute").kind == "cdi"
    assert machine.plan("cdi", "0", NVIDIA_DRIVER_CAPABILITIES="all").kind == "cdi"
    assert machine.plan("cdi", "0", "all").kind == "cdi"
    with pytest.raises(CdiError, match="was made without graphics, utility: apply role"):
        machine.plan("cdi", "0", "utility", "graphics", "compute")


def test_a_missing_node_is_no_question_of_the_kind(machine: Machine) -> None:
    """Of a container that would get it by name."""
    machine.host = replace(machine.host, missing_nodes=("/dev/nvidia2",))
    with pytest.raises(MissingDeviceNode):
        machine.plan("driver_volume")
