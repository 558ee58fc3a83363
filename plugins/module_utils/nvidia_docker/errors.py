# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every error that a user can meet. Messages are sentences and name the value at fault."""

from __future__ import annotations


class NvidiaDockerError(Exception):
    """Root of all errors of this package; ``str(error)`` is the sentence for the user."""


class InvalidInput(NvidiaDockerError):
    """A value given by the user can't be understood."""


class UnknownDevice(InvalidInput):
    """An identifier that names no device of this host.

    ``identifier`` is what the user wrote, ``known`` what the host has (UUIDs and indices), ``hint``
    why it was refused if it names several.
    """

    def __init__(self, identifier: str, known: tuple[str, ...] = (), hint: str = "") -> None:
        self.identifier = identifier
        self.known = known
        self.hint = hint
        has = ", ".join(known) if known else "no GPU"
        # v1's words come first.
        clear = identifier.isprintable() and identifier.split() == [identifier]
        shown = identifier if clear else repr(identifier)
        super().__init__(
            f"invalid device: {shown}: {hint or 'it names no device of this host'}; "
            f"this host has {has}"
        )


class InjectionUnavailable(NvidiaDockerError):
    """A kind of injection that this host or its engine does not have."""


class GpusInUse(NvidiaDockerError):
    """Fewer GPUs are free than were asked for."""


class NewerLabels(NvidiaDockerError):
    """A container has labels that a newer version has written."""


class LeaseError(NvidiaDockerError):
    """The record of GPUs that are about to be used can't be read or written."""


class MissingDeviceNode(NvidiaDockerError):
    """A device node that a container needs is not in /dev, or not the driver's."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        # Here, as the programs import this module at their start.
        from .model import node_maker

        self.paths = paths
        commands = dict.fromkeys(f"'{node_maker(path)}'" for path in paths)
        super().__init__(
            f"missing device node {', '.join(paths)}: load the driver, remove what is there in the "
            f"place of the node, and run {' and '.join(commands)} as root on this host"
        )


class DriverUnavailable(NvidiaDockerError):
    """NVML can't be used: no library, no loaded driver, or the two disagree."""


class DriverMismatch(DriverUnavailable):
    """The driver's libraries and its loaded kernel module are of different versions."""


class UnmetRequirement(NvidiaDockerError):
    """The image demands more than this host's driver offers."""


class DriverFilesError(NvidiaDockerError):
    """The driver files of this host can't be found or read."""


class UnfinishedUpgrade(DriverFilesError):
    """The driver files are of another version than the loaded kernel module."""


class DriverVolumeError(NvidiaDockerError):
    """A driver volume can't be made, verified or removed."""


class UnknownVolume(DriverVolumeError):
    """A volume name that is not one of ours, or that does not exist."""


class CdiError(NvidiaDockerError):
    """A CDI specification can't be made, read, written or removed."""


class DaemonJsonError(NvidiaDockerError):
    """daemon.json is not what dockerd would read, or can't be merged."""


class DockerError(NvidiaDockerError):
    """The docker client or engine said no."""


class InvalidReference(DockerError):
    """What is given for an image can't be the name of one."""


class UnknownImage(DockerError):
    """An image that the engine does not have."""


class NotInstalled(NvidiaDockerError):
    """Something that a role of this collection installs is not on this host yet."""


class RemoteError(NvidiaDockerError):
    """Another machine's plugin can't be reached or refused the request."""
