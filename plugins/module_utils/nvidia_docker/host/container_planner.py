# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans a container on the host that runs it: which GPUs, by which kind, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .. import (
    allocation,
    container_capabilities,
    container_changes,
    container_labels,
    image_environment,
    selection,
)
from ..allocation import Wanted
from ..container_capabilities import WantedCapabilities
from ..container_labels import EXCLUSIVE, NAMED, SHARED
from ..container_plan import AUTO, CDI, DRIVER_VOLUME, ContainerPlan
from ..container_requirements import ENFORCE, NOT_NEEDED, Requirements
from ..errors import DockerError, DriverUnavailable, InvalidInput, NvidiaDockerError
from ..model import Host
from ..requirement import Image
from ..selection import ALL, NONE, Selected
from . import discovery, injector, volume_users
from .engine import Container, Engine
from .gpu_choice import GpuChoice
from .injector import UNAVAILABLE, Injector
from .leases import Leases


@dataclass(frozen=True)
class Asked:
    """What a user asks for, as far as GPUs are concerned."""

    name: str
    """Of the container, or its identifier."""
    image: str | None = None
    """``None``: that of the existing container."""
    gpus: object = ALL
    """As ``allocation.read()`` takes it."""
    shared: bool = False
    injection: str = DRIVER_VOLUME
    """One of ``KINDS``, or ``AUTO``."""
    capabilities: tuple[str, ...] | None = None
    """``None``: those that the image says."""
    requirements: str = ENFORCE
    """``ENFORCE``, ``WARN`` or ``IGNORE`` (container_requirements.py)."""
    pull: str = "missing"
    """``never``, ``missing``, ``always``."""
    platform: str | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Variables of the container that the image does not set, or sets otherwise."""
    in_file: frozenset[str] = frozenset()
    """Names of those that only a file sets, which an option ``env`` of ours would overrule."""


@dataclass(frozen=True)
class Planned:
    """What the container gets, and what is to be done for it."""

    plan: ContainerPlan
    labels: Mapping[str, str]
    requirements: Requirements
    differences: tuple[str, ...] = ()
    """In what the container differs from this."""
    recreate: bool = False
    restart: bool = False
    """It would be given the same, but has an older driver's files."""
    pulled: bool = False
    """Whether there is another image than before."""
    lease: str | None = None
    """Path of the lease that is to be ended when the container is there."""
    warnings: tuple[str, ...] = ()


class ContainerPlanner:
    """Plans one container of an engine of this host."""

    def __init__(self, engine: Engine, asked: Asked, check_mode: bool = False) -> None:
        self._engine = engine
        self._asked = asked
        self._check_mode = check_mode

    def plan(self, container: Container | None) -> Planned:
        """Return the plan; ``container`` is what there is of that name.

        Nothing but a pulled image is changed, and with a number of GPUs a lease is written; check
        mode does neither. Raises NvidiaDockerError; there is no lease then.
        """
        asked = self._asked
        reference = asked.image or (container.image if container else None)
        if reference is None:
            raise InvalidInput(f"there is no container {asked.name!r} yet: give its 'image'")
        wanted = allocation.read(asked.gpus)
        self._refuse_words()
        host = _host(wanted)
        image = self._engine.image(reference)
        chooser = self._chooser(host, wanted, container)
        demanding = self._with_env(image) if asked.requirements == ENFORCE else None
        devices = chooser.look(demanding) if chooser else _named(host, wanted)
        task = _Task(self._engine, asked, host, wanted, container)
        # What is in the way is told before the image is pulled.
        task.give(devices, self._with_env(image))
        image, pulled = self._pulled(reference, image)
        if chooser is None or self._check_mode:
            return replace(self._finished(task, devices, image), pulled=pulled)
        demanding = self._with_env(image) if asked.requirements == ENFORCE else None
        devices, lease = chooser.take(demanding)
        try:
            planned = self._finished(task, devices, image)
        except NvidiaDockerError:
            chooser.leases.end(lease)
            raise
        return replace(planned, pulled=pulled, lease=str(lease))

    def _refuse_words(self) -> None:
        """What can be told without asking anybody is told first."""
        capabilities = self._asked.capabilities
        container_capabilities.read(capabilities, {})
        if capabilities is not None and container_capabilities.VARIABLE in self._asked.env:
            raise InvalidInput(
                f"capabilities and {container_capabilities.VARIABLE} in 'env' say the same thing: "
                "leave one of them out"
            )

    def _chooser(
        self, host: Host | None, wanted: Wanted, container: Container | None
    ) -> GpuChoice | None:
        if host is None or not isinstance(wanted, int):
            return None
        # docker_container takes a container's identifier for its name.
        name = container.name if container else self._asked.name
        return GpuChoice(host, self._engine, Leases(), name, wanted, self._asked.shared)

    def _finished(self, task: _Task, devices: tuple[Selected, ...], image: Image | None) -> Planned:
        demanding = self._with_env(image)
        requirements = Requirements.of(self._asked.requirements, demanding, task.host, devices)
        plan = task.give(devices, demanding)
        if image:
            # By the other kinds NVIDIA's programs are told which GPUs.
            if demanding and plan.kind in (None, DRIVER_VOLUME, CDI):
                more = injector.hands_off(self._engine, demanding)
                plan = replace(plan, injection=plan.injection + more)
            # Of the image as it is: a variable of the task takes the place of ours.
            completed = image_environment.complete(
                plan.injection,
                Image(
                    reference=image.reference,
                    labels=image.labels,
                    environment=image.environment,
                    given=self._asked.in_file,
                ),
            )
            plan = replace(plan, injection=completed)
        return replace(task.compared(plan, image), requirements=requirements)

    def _with_env(self, image: Image | None) -> Image | None:
        """Return the image as its container will be: the task's variables count too."""
        if image is None:
            return None
        env = self._asked.env
        return Image(image.reference, image.labels, {**image.environment, **env}, frozenset(env))

    def _pulled(self, reference: str, image: Image | None) -> tuple[Image | None, bool]:
        """Return the image, None if it is not there in check mode, and whether it was pulled."""
        policy = self._asked.pull
        if image is None and policy == "never":
            raise DockerError(
                f"image {reference} is not on this host, and 'pull' is never: load it first"
            )
        if self._check_mode or not self._asked.image or (image and policy != "always"):
            return image, False
        before = self._engine.image_id(reference) if image else None
        self._engine.pull(reference, self._asked.platform)
        return self._engine.image(reference), self._engine.image_id(reference) != before


class _Task:
    """What one task asks for, beside the container that is there."""

    def __init__(
        self,
        engine: Engine,
        asked: Asked,
        host: Host | None,
        wanted: Wanted,
        container: Container | None,
    ) -> None:
        self.host = host
        self._asked = asked
        self._wanted = wanted
        self._container = container
        check = asked.requirements == ENFORCE
        self._injector = Injector(host, engine, check) if host else None

    def give(self, devices: tuple[Selected, ...], image: Image | None) -> ContainerPlan:
        """Return what the container gets. Raises NvidiaDockerError."""
        if self._injector is None or not devices:
            return ContainerPlan()
        environment = image.environment if image else self._asked.env
        wanted = container_capabilities.read(self._asked.capabilities, environment)
        plan = self._by_kind(self._injector, devices, wanted)
        indices: tuple[str, ...] = ()
        if not isinstance(self._wanted, int):
            indices = tuple(one for one in self._wanted if selection.is_index(one))
        return replace(plan, sharing=self._sharing(), asked_indices=indices)

    def compared(self, plan: ContainerPlan, image: Image | None) -> Planned:
        """Return what is to be done, all but the requirements."""
        labels = container_labels.labels(plan, image.labels if image else {})
        warnings = _unreadable(self.host, self._wanted)
        container = self._container
        if container is None:
            return Planned(plan, labels, NOT_NEEDED, warnings=warnings)
        changes: tuple[str, ...] = ()
        if image:
            changes = container_changes.describe(
                container.given, plan, image.environment, self._asked.env
            )
        found = container_labels.differences(container.labels, labels, changes)
        outdated = _outdated(container, plan.driver)
        if not found:
            labels = container_labels.kept(labels, container.labels)
        return Planned(
            plan=plan,
            labels=labels,
            requirements=NOT_NEEDED,
            differences=found + outdated,
            recreate=bool(found),
            restart=bool(outdated) and not found,
            warnings=warnings,
        )

    def _by_kind(
        self, injector: Injector, devices: tuple[Selected, ...], wanted: WantedCapabilities
    ) -> ContainerPlan:
        if self._asked.injection != AUTO:
            return injector.plan(self._asked.injection, devices, wanted)
        has = container_labels.kind_of(self._container.labels) if self._container else None
        if has is None:
            return injector.best(devices, wanted)
        try:
            return injector.plan(has, devices, wanted)
        except UNAVAILABLE as error:
            raise type(error)(
                f"injection auto keeps what container {self._asked.name} has: {error}"
            ) from None

    def _sharing(self) -> str:
        if self._asked.shared:
            return SHARED
        return EXCLUSIVE if isinstance(self._wanted, int) else NAMED


def _host(wanted: Wanted) -> Host | None:
    """Return this host, None if no GPU is wanted."""
    if wanted in ((), (NONE,)):
        return None
    host = discovery.discover()
    discovery.require_driver(host)
    if not host.devices:
        told = str(wanted) if isinstance(wanted, int) else ", ".join(wanted)
        raise DriverUnavailable(f"gpus: {told}: no GPU to give: {host.reason}")
    return host


def _named(host: Host | None, wanted: Wanted) -> tuple[Selected, ...]:
    if host is None or isinstance(wanted, int):
        return ()
    return selection.select(host, wanted)


def _outdated(container: Container, driver: str | None) -> tuple[str, ...]:
    """Return that a running container has another driver's files than it would get now."""
    mounted = volume_users.mounted_version(container.pid) if container.pid else None
    if driver is None or mounted in (None, driver):
        return ()
    return (f"driver {mounted} -> {driver}",)


def _unreadable(host: Host | None, wanted: Wanted) -> tuple[str, ...]:
    if host is None or isinstance(wanted, int) or ALL not in wanted:
        return ()
    return tuple(f"GPU {one.known_as} can't be given: {one.reason}" for one in host.unreadable)
