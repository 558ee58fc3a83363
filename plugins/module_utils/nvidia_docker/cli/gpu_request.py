# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the options of a run or create say about GPUs: how the user asks for them, which ones."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..requirement import Image
    from .docker_command import Command

_VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"


def of_docker(command: Command) -> str:
    """Return the option by which the user asks docker itself for GPUs, empty if there is none.

    ``--gpus``; ``--runtime nvidia`` (nvidia-docker 2; also nvidia-cdi, nvidia-legacy); ``--device``
    with an NVIDIA device node, or with the CDI name of a GPU.
    """
    if command.values("gpus"):
        return f"--gpus {command.value('gpus')}"
    runtime = command.value("runtime") or ""
    if runtime.partition("-")[0] == "nvidia":
        return f"--runtime {runtime}"
    for device in command.values("device"):
        if _is_gpu(device):
            return f"--device {device}"
    return ""


def _is_gpu(device: str) -> bool:
    if device.startswith("/"):
        from ..model import DEVICE_NODES

        return device.startswith(DEVICE_NODES)
    kind, equals, _dummy = device.partition("=")
    vendor, slash, device_class = kind.partition("/")
    named = equals and slash and vendor
    return bool(named) and (
        device_class.partition(".")[0] == "gpu" or f".{vendor}".endswith(".nvidia.com")
    )


def in_container(image: Image, given: Sequence[str], caller: Mapping[str, str]) -> Image:
    """Return the image with the environment that a container of it will have.

    ``given``: the values of ``--env``. As docker reads them: ``NAME=value``; a NAME alone has the
    caller's value, and is taken out of the container's environment if the caller has none.
    """
    if not given:
        return image
    environment, names = dict(image.environment), set()
    for entry in given:
        name, equals, value = entry.partition("=")
        names.add(name)
        if equals or name in caller:
            environment[name] = value if equals else caller[name]
        else:
            environment.pop(name, None)
    from ..requirement import Image

    return Image(image.reference, image.labels, environment, frozenset(names))


def identifiers(nv_gpu: Sequence[str], image: Image) -> tuple[str, ...] | None:
    """Return identifiers for selection.select, empty for all; None if no GPU is to be added.

    NV_GPU, else the container's NVIDIA_VISIBLE_DEVICES; both take ``all``, ``none`` and ``void``.
    """
    value = ",".join(nv_gpu) or image.environment.get(_VISIBLE_DEVICES)
    if value is None:
        return ()
    from ..selection import visible_devices

    return visible_devices(value)
