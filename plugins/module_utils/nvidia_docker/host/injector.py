# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which this machine gives GPUs to a container, and what a container gets by each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from .. import cdi_capabilities
from ..cdi_versions import InstalledEngine, highest
from ..container_capabilities import VARIABLE, WantedCapabilities, words
from ..container_plan import (
    CDI,
    DEVICE_REQUEST,
    DRIVER_VOLUME,
    KINDS,
    RUNTIME,
    ContainerPlan,
    DeviceRequest,
)
from ..driver_files import DriverCapability
from ..errors import (
    CdiError,
    DriverVolumeError,
    InjectionUnavailable,
    NotInstalled,
    NvidiaDockerError,
)
from ..graphics_nodes import GraphicsNodes, plan_graphics
from ..injection import STABLE_NAME, Injection
from ..injection import plan as plan_injection
from ..model import MODESET_NODE, Host
from ..requirement import DISABLE, VISIBLE_DEVICES, Image
from ..selection import VOID, Selected
from . import cdi_devices, cdi_machine, nvidia_hook
from .engine import Engine, EngineInfo, require_volume_driver

_ROOT = Path("/")
_RUNTIME_PROGRAM = "nvidia-container-runtime"
_RUNTIME_NAME = "nvidia"
_CDI = "cdi"
"""Device driver of dockerd."""
_GPU = "gpu"
_OF_DOCKERD = frozenset(DriverCapability) - {DriverCapability.NGX}
"""Driver capabilities that dockerd takes in a request (moby, allNvidiaCaps)."""
UNAVAILABLE = (InjectionUnavailable, NotInstalled, DriverVolumeError, CdiError)
"""What says that a kind of injection is not to be had here."""


class Injector:
    """Plans what containers get of one host, by any kind that it has."""

    def __init__(self, host: Host, engine: Engine, check_requirements: bool = True) -> None:
        """``check_requirements``: whether NVIDIA's own programs are to check NVIDIA_REQUIRE_* when
        the container starts."""
        self._host = host
        self._engine = engine
        self._check_requirements = check_requirements

    def plan(
        self, kind: str, devices: tuple[Selected, ...], wanted: WantedCapabilities
    ) -> ContainerPlan:
        """Return what a container gets that has these devices by this kind of injection.

        Raises NotInstalled, InjectionUnavailable, DriverVolumeError or CdiError, naming the kinds
        that are to be had, if this one is not, MissingDeviceNode, and DockerError.
        """
        try:
            return self._plan(kind, devices, wanted)
        except UNAVAILABLE as error:
            others = [one for one in KINDS if one != kind and self._has(one, devices, wanted)]
            has = ", ".join(others) or "none"
            raise type(error)(
                f"injection {kind} is not to be had on this host: {error}; "
                f"other kinds that it has: {has}"
            ) from None

    def best(self, devices: tuple[Selected, ...], wanted: WantedCapabilities) -> ContainerPlan:
        """Return the plan by the first kind of ``KINDS`` that this host has.

        Raises as ``plan()``, with what each kind lacks, if it has none.
        """
        reasons = {}
        for kind in KINDS:
            try:
                return self._plan(kind, devices, wanted)
            except UNAVAILABLE as error:
                reasons[kind] = error
        told = "; ".join(f"{kind}: {error}" for kind, error in reasons.items())
        installable = all(isinstance(error, NotInstalled) for error in reasons.values())
        raise (NotInstalled if installable else InjectionUnavailable)(
            f"this host has no kind of injection: {told}"
        )

    def _has(self, kind: str, devices: tuple[Selected, ...], wanted: WantedCapabilities) -> bool:
        try:
            self._plan(kind, devices, wanted)
        except NvidiaDockerError:
            return False
        return True

    def _plan(
        self, kind: str, devices: tuple[Selected, ...], wanted: WantedCapabilities
    ) -> ContainerPlan:
        planners = {
            DRIVER_VOLUME: self._driver_volume,
            CDI: self._cdi,
            DEVICE_REQUEST: self._device_request,
            RUNTIME: self._runtime,
        }
        return replace(
            planners[kind](devices, wanted),
            kind=kind,
            devices=devices,
            capabilities=wanted.capabilities,
            driver=self._host.driver.version,
        )

    def _driver_volume(
        self, devices: tuple[Selected, ...], wanted: WantedCapabilities
    ) -> ContainerPlan:
        injection = plan_injection(self._host, devices, STABLE_NAME)
        for mount in injection.mounts:
            require_volume_driver(mount.volume_driver)
        graphics, served = plan_graphics(
            self._host, devices, wanted.capabilities, self._graphics_nodes
        )
        plain = ContainerPlan()
        return replace(plain, injection=injection + graphics, effective=plain.effective | served)

    @cached_property
    def _graphics_nodes(self) -> GraphicsNodes:
        drm = cdi_machine.drm_nodes(self._host, _ROOT)
        paths = (MODESET_NODE, *(path for one in drm.values() for path in one))
        nodes = (cdi_machine.node(path, _ROOT) for path in paths)
        return GraphicsNodes(drm, {node.path: node for node in nodes if node is not None})

    def _cdi(self, devices: tuple[Selected, ...], wanted: WantedCapabilities) -> ContainerPlan:
        engine = InstalledEngine("docker", self._info.version)
        if highest(engine) is None:
            raise InjectionUnavailable(
                f"Docker {engine.version} takes no CDI devices, which came with Docker 25"
            )
        if not self._info.cdi_directories:
            raise NotInstalled(
                "Docker's CDI is switched off: apply role gpufleet.nvidia.docker, which sets "
                '{"features": {"cdi": true}} in daemon.json and restarts Docker'
            )
        found = cdi_devices.find(self._host, devices, self._info.cdi_directories, engine)
        served = cdi_capabilities.served(found.edits, found.linked())
        lacking = wanted.demanded - served if served is not None else frozenset()
        if lacking:
            raise CdiError(
                f"the CDI specification was made without {', '.join(words(lacking))}: apply role "
                "gpufleet.nvidia.nvidia_cdi with these in nvidia_cdi_capabilities"
            )
        return ContainerPlan(
            injection=Injection(groups=found.groups()),
            requests=(DeviceRequest(_CDI, found.names),),
            nodes_of_others=found.device_nodes,
        )

    def _device_request(
        self, devices: tuple[Selected, ...], wanted: WantedCapabilities
    ) -> ContainerPlan:
        nvidia_hook.require(self._engine)
        capabilities: tuple[str, ...] = words(wanted.capabilities)
        environment: dict[str, str] = {}
        if not wanted.capabilities <= _OF_DOCKERD:
            # dockerd refuses a request with one that it does not know; the hook reads the variable.
            environment[VARIABLE] = ",".join(capabilities)
            capabilities = ()
        request = DeviceRequest(nvidia_hook.DRIVER, _uuids(devices), (_GPU, *capabilities))
        return ContainerPlan(
            injection=self._read_at_start(environment),
            requests=(request,),
            effective=wanted.capabilities,
        )

    def _runtime(self, devices: tuple[Selected, ...], wanted: WantedCapabilities) -> ContainerPlan:
        names = _nvidias(self._info)
        if not names:
            raise NotInstalled(
                f"Docker has no runtime {_RUNTIME_NAME}: install nvidia-container-toolkit, and put "
                "the runtime into daemon.json with module gpufleet.nvidia.docker_daemon_config"
            )
        environment = {
            VISIBLE_DEVICES: ",".join(_uuids(devices)),
            VARIABLE: ",".join(words(wanted.capabilities)),
        }
        return ContainerPlan(
            injection=self._read_at_start(environment),
            runtime=names[0],
            effective=wanted.capabilities,
        )

    def _read_at_start(self, environment: Mapping[str, str]) -> Injection:
        """The variables that NVIDIA's programs read when the container starts."""
        # They would refuse what the task lets pass.
        more = {} if self._check_requirements else {DISABLE: "1"}
        return Injection(environment=tuple({**environment, **more}.items()))

    @cached_property
    def _info(self) -> EngineInfo:
        return self._engine.info()


def _uuids(devices: Iterable[Selected]) -> tuple[str, ...]:
    return tuple(sorted(device.uuid for device in devices))


def hands_off(engine: Engine, image: Image) -> Injection:
    """Return what keeps NVIDIA's runtime, where it is the engine's default, from giving a container
    of this image more GPUs than it is to have."""
    if not image.is_gpu_image:
        return Injection()
    info = engine.info()
    if info.default_runtime not in _nvidias(info):
        return Injection()
    return Injection(environment=((VISIBLE_DEVICES, VOID),))


def _nvidias(info: EngineInfo) -> tuple[str, ...]:
    """Return the names of NVIDIA's runtime: ``nvidia`` first, and those that run its program."""
    names = {
        name
        for name, program in info.runtimes.items()
        if name == _RUNTIME_NAME or os.path.basename(program) == _RUNTIME_PROGRAM
    }
    return tuple(sorted(names, key=lambda name: (name != _RUNTIME_NAME, name)))
