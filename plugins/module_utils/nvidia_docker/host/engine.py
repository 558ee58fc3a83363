# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker engine of this host: its containers and images, asked through the docker client."""

from __future__ import annotations

import calendar
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..container_changes import Given
from ..container_labels import (
    FORMAT_LABEL,
    GPUS_LABEL,
    INJECTION_LABEL,
    KIND_LABEL,
    SHARING_LABEL,
    check_format,
)
from ..errors import DockerError, DriverVolumeError, InvalidInput, NotInstalled
from ..requirement import Image
from . import process
from .docker import Docker

PLUGIN_SOCKETS = Path("/run/docker/plugins")
"""Where the engine looks for the sockets of volume drivers (Docker's plugin API)."""

_LABELS = (FORMAT_LABEL, GPUS_LABEL, INJECTION_LABEL, KIND_LABEL, SHARING_LABEL)
_CONTAINER = (
    '{"name":{{json .Name}},"image":{{json .Image}},"labels":{{json .Config.Labels}},'
    '"pid":{{.State.Pid}},"env":{{json .Config.Env}},"host":{{json .HostConfig}}}'
)
_LISTED = (
    '{"id":{{json .ID}},"name":{{json .Names}},"status":{{json .State}},"labels":{'
    + ",".join(f'"{one}":{{{{json (.Label "{one}")}}}}' for one in _LABELS)
    + "}}"
)
_NO_ENGINE = ("cannot connect to the docker daemon", "failed to connect to the docker api")


@dataclass(frozen=True)
class Container:
    """A container as the engine has it."""

    name: str
    image: str
    """Identifier, ``sha256:…``."""
    labels: Mapping[str, str]
    pid: int
    """Of its first process, as the host sees it; 0 if it does not run."""
    given: Given = field(default_factory=Given)


@dataclass(frozen=True)
class EngineInfo:
    """What an engine tells of itself."""

    version: str
    runtimes: Mapping[str, str]
    """The program of each runtime by name; empty for one that is no program."""
    cdi_directories: tuple[str, ...]
    """Where it looks for CDI specifications; none: its CDI is off, or it has none."""
    default_runtime: str = "runc"


@dataclass(frozen=True)
class ListedContainer:
    """A container as the engine lists it."""

    id: str
    name: str
    status: str
    """``created``, ``running``, ``paused``, ``restarting``, ``removing``, ``exited``, ``dead``."""
    labels: Mapping[str, str]
    """Ours, those that it has."""


@dataclass(frozen=True)
class MountingContainer:
    """``mounts``: volumes and directories, without those of CDI devices."""

    id: str
    name: str
    mounts: tuple[str, ...]


class Engine:
    """The engine behind a unix socket, ``unix:///var/run/docker.sock``.

    Each method raises DockerError if the client is missing, the engine does not answer or refuses.
    Raises InvalidInput for the address of an engine that may be another machine's, NewerLabels for
    a container that a newer version has made.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith("unix://"):
            raise InvalidInput(
                f"docker_host {address!r} may be another machine, whose GPUs are not this host's: "
                "use unix:///var/run/docker.sock and delegate the task to that machine"
            )
        self._address = address
        self._docker = Docker(("docker", "--host", address))

    def exists(self) -> bool:
        """Whether there is the socket of an engine."""
        return os.path.exists(self._address[len("unix://") :])

    def info(self) -> EngineInfo:
        """Return what the engine tells of itself."""
        # Whole, as clients before 25 do not know the field of CDI.
        told = json.loads(self._ask("info", "--format", "{{json .}}"))
        runtimes = told.get("Runtimes") or {}
        return EngineInfo(
            version=str(told.get("ServerVersion") or ""),
            runtimes={name: str((one or {}).get("path") or "") for name, one in runtimes.items()},
            cdi_directories=tuple(told.get("CDISpecDirs") or ()),
            default_runtime=str(told.get("DefaultRuntime") or "runc"),
        )

    def container(self, name: str) -> Container | None:
        """Return the container of this name or identifier, or None."""
        output = self._inspect("container", _CONTAINER, name)
        if output is None:
            return None
        told = json.loads(output)
        name, labels = told["name"].removeprefix("/"), told["labels"] or {}
        check_format(name, labels)
        given = _given(told["env"] or (), told["host"])
        return Container(name, told["image"], labels, told["pid"], given)

    def containers(self) -> tuple[ListedContainer, ...]:
        """Return every container, running or not, in the order of names."""
        output = self._ask("ps", "--all", "--no-trunc", "--format", _LISTED)
        told = [json.loads(line) for line in output.splitlines()]
        listed = [
            ListedContainer(
                one["id"],
                # Links of other containers are listed as names with a slash.
                next((name for name in one["name"].split(",") if "/" not in name), one["name"]),
                one["status"],
                {key: value for key, value in one["labels"].items() if value},
            )
            for one in told
        ]
        for one in listed:
            check_format(one.name, one.labels)
        return tuple(sorted(listed, key=lambda one: one.name))

    def pids(self, identifiers: Sequence[str]) -> dict[str, int]:
        """Return the first process of each container, by identifier; 0 of one that does not run.

        One that was removed meanwhile is left out.
        """
        found: dict[str, int] = {}
        for identifier in identifiers:
            output = self._inspect("container", "{{.State.Pid}}", identifier)
            if output is not None:
                found[identifier] = int(output)
        return found

    def last_start(self, driver: str) -> float | None:
        """Return when a container was last started that asks this device driver, or as ``docker run
        --gpus`` none by name, for devices, in s since the epoch, or None."""
        template = '{"at":{{json .State.StartedAt}},"requests":{{json .HostConfig.DeviceRequests}}}'
        found = []
        for identifier in self._ask("ps", "--all", "--quiet", "--no-trunc").split():
            output = self._inspect("container", template, identifier)
            told = json.loads(output or "{}")
            if any(one.get("Driver") in (driver, "") for one in told.get("requests") or ()):
                # One that never ran was started in the year 1.
                moment = time.strptime(told["at"][:19], "%Y-%m-%dT%H:%M:%S")
                found.append(float(calendar.timegm(moment)))
        return max(found, default=None)

    def mounts(self) -> tuple[MountingContainer, ...]:
        """Return each container, running or not, with what it mounts."""
        template = '{"id":{{json .ID}},"name":{{json .Names}},"mounts":{{json .Mounts}}}'
        output = self._ask("ps", "--all", "--no-trunc", "--format", template)
        told = [json.loads(line) for line in output.splitlines()]
        return tuple(
            MountingContainer(one["id"], one["name"], tuple(one["mounts"].split(",")))
            for one in told
        )

    def image(self, reference: str) -> Image | None:
        """Return an image that the engine has, or None."""
        return self._docker.image(reference)

    def image_id(self, reference: str) -> str | None:
        """Return the identifier of an image that the engine has, or None."""
        return self._inspect("image", "{{.Id}}", reference)

    def pull(self, reference: str, platform: str | None) -> None:
        """Pull an image, for ``os/arch`` if told."""
        options = ("--quiet", *(("--platform", platform) if platform else ()))
        try:
            self._docker.pull(reference, options)
        except DockerError as error:
            raise DockerError(f"image {reference} can't be pulled: {error}") from None

    def _inspect(self, kind: str, template: str, name: str) -> str | None:
        try:
            return self._ask(kind, "inspect", "--format", template, "--", name).strip()
        except DockerError as error:
            if f"no such {kind}" in str(error).lower():
                return None
            raise

    def _ask(self, *arguments: str) -> str:
        """Return what the client prints."""
        try:
            status, output, errors = process.start((*self._docker.command, *arguments)).wait()
        except OSError as error:
            raise NotInstalled(
                f"can't start the docker client: {error.strerror}: apply role "
                "gpufleet.nvidia.docker to this host, or install package docker-cli or docker.io"
            ) from None
        if status == 0:
            return output
        message = errors.strip().partition("\n")[0]
        if any(text in message.lower() for text in _NO_ENGINE):
            raise DockerError(
                f"no Docker engine answers at {self._address} on this host: start it with "
                "'systemctl start docker', or apply role gpufleet.nvidia.docker"
            )
        raise DockerError(message or f"docker {arguments[0]} failed: status {status}")


def _given(environment: Sequence[str], host: Mapping[str, Any]) -> Given:
    """Read a container's ``Config.Env`` and ``HostConfig``."""
    requests = host.get("DeviceRequests") or ()
    return Given(
        device_nodes=tuple(one["PathOnHost"] for one in host.get("Devices") or ()),
        mounts={one["Target"]: one.get("Source", "") for one in host.get("Mounts") or ()},
        environment=dict(one.split("=", 1) for one in environment if "=" in one),
        groups=tuple(host.get("GroupAdd") or ()),
        device_ids=tuple(name for one in requests for name in one.get("DeviceIDs") or ()),
        runtime=str(host.get("Runtime") or ""),
    )


def require_volume_driver(name: str, sockets: Path = PLUGIN_SOCKETS) -> None:
    """Raise unless the volume driver of this name takes connections: NotInstalled if it has no
    socket, else DriverVolumeError."""
    path = sockets / f"{name}.sock"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plugin:
            plugin.settimeout(5)
            plugin.connect(str(path))
    except OSError as error:
        kind = NotInstalled if isinstance(error, FileNotFoundError) else DriverVolumeError
        raise kind(
            f"Docker's volume driver {name} does not answer at {path} ({error.strerror or error}): "
            "start nvidia-docker-plugin.socket, or apply role gpufleet.nvidia.nvidia_docker"
        ) from None
