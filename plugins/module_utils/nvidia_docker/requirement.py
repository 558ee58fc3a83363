# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image demands of the host, and whether this host offers it.

Two generations of images say it in two ways: labels (nvidia-docker 1.0: com.nvidia.volumes.needed,
com.nvidia.cuda.version) and environment (NVIDIA_REQUIRE_*, as libnvidia-container reads it).
"""

from __future__ import annotations

from .condition import Condition
from .errors import InvalidInput, UnmetRequirement
from .version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .model import Device, Host
    from .selection import Selected

VOLUMES_LABEL = "com.nvidia.volumes.needed"
CUDA_LABEL = "com.nvidia.cuda.version"
DRIVER_VOLUME = "nvidia_driver"
VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
DISABLE = "NVIDIA_DISABLE_REQUIRE"
"""Switches NVIDIA_REQUIRE_* off, in the environment of the image or the container."""

MET, UNMET, SKIPPED, UNREADABLE = "met", "unmet", "skipped", "unreadable"
"""What comes of a condition."""

_CUDA_VERSION = "CUDA_VERSION"
_REQUIRE_PREFIX = "NVIDIA_REQUIRE_"
_REQUIRE_CUDA = "NVIDIA_REQUIRE_CUDA"
_JETPACK = "NVIDIA_REQUIRE_JETPACK"
"""Of Tegra's devices; what begins so is no condition."""
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
"""What Go's strconv.ParseBool takes for true."""
_LONGEST_SHOWN = 200
_DIGITS = "0123456789"
_MOST_DIGITS = 18
"""What fits into v1's integers."""


class Image:
    """What the engine says of an image (``docker image inspect``: Config.Labels, Config.Env).

    ``given``: names of the variables that the user sets for the container; their values are in
    ``environment``.
    """

    __slots__ = ("environment", "given", "labels", "reference")

    def __init__(
        self,
        reference: str,
        labels: Mapping[str, str],
        environment: Mapping[str, str],
        given: frozenset[str] = frozenset(),
    ) -> None:
        self.reference = reference
        self.labels = labels
        self.environment = environment
        self.given = given

    @property
    def volumes_needed(self) -> tuple[str, ...]:
        """Names in the volumes label, e.g. ``("nvidia_driver",)``."""
        return tuple(self.labels.get(VOLUMES_LABEL, "").split())

    @property
    def is_gpu_image(self) -> bool:
        """Whether its author meant it to run with GPUs, by label or by environment."""
        items = [item.strip() for item in self.environment.get(VISIBLE_DEVICES, "").split(",")]
        visible = any(items) and "void" not in items
        return bool(self.volumes_needed) or visible or _is_legacy(self.environment)


def check(image: Image, host: Host, devices: Iterable[Selected]) -> None:
    """Raise UnmetRequirement if this host can't serve the image with these devices.

    The CUDA label is answered with v1's sentence (``unsupported CUDA version: driver 8.0 < image
    9.0.176``), NVIDIA_REQUIRE_* with each unmet factor, what the host has and what would help.
    NVIDIA_DISABLE_REQUIRE switches the latter off, as in libnvidia-container.
    Raises InvalidInput for a requirement that can't be read.
    """
    _check_cuda_label(image, host)
    if _is_switched_off(image):
        return
    conditions = _conditions(image.environment)
    if not conditions:
        return
    gpus = _gpus(host, devices)
    unmet = [condition for condition in conditions if not _holds(condition, host, gpus)]
    if unmet:
        from .refusal import describe

        raise UnmetRequirement(
            f"image {image.reference} can't run here: {describe(unmet, host, gpus)}; "
            "NVIDIA_DISABLE_REQUIRE=1 in the container's environment skips this check"
        )


def outcomes(image: Image, host: Host, devices: Iterable[Selected]) -> tuple[tuple[str, str], ...]:
    """Return each condition of the image with what came of it here: ``MET``, ``UNMET``, ``SKIPPED``
    as the image or the user switches it off, or ``UNREADABLE``."""
    found = []
    label = image.labels.get(CUDA_LABEL, "").strip(" \n")
    if label:
        condition = f"{CUDA_LABEL}={_printable(label)}"
        found.append((condition, _outcome(_meets_cuda_label, image, host)))
    gpus = _gpus(host, devices)
    for one in _conditions(image.environment):
        skipped = _is_switched_off(image)
        found.append((str(one), SKIPPED if skipped else _outcome(_holds, one, host, gpus)))
    return tuple(found)


def _outcome(holds: Callable[..., bool], *arguments: object) -> str:
    try:
        return MET if holds(*arguments) else UNMET
    except InvalidInput:
        return UNREADABLE


def _meets_cuda_label(image: Image, host: Host) -> bool:
    try:
        _check_cuda_label(image, host)
    except UnmetRequirement:
        return False
    return True


def _is_switched_off(image: Image) -> bool:
    return image.environment.get(DISABLE) in _TRUE


def _holds(condition: Condition, host: Host, gpus: list[Device]) -> bool:
    """Every GPU has to meet every condition; one may do it by another term than the next."""
    return all(condition.holds(host.driver, gpu) for gpu in gpus or (None,))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:_LONGEST_SHOWN])


def _check_cuda_label(image: Image, host: Host) -> None:
    label = image.labels.get(CUDA_LABEL, "").strip(" \n")
    if not label:
        return
    wanted = _major_minor(label)
    label = _printable(label)
    if wanted is None:
        raise InvalidInput(
            f"image {image.reference}: label {CUDA_LABEL}={label!r} is no version such as 8.0"
        )
    if host.driver.cuda_version is None:
        raise UnmetRequirement(
            f"image {image.reference} needs CUDA {label}, but this host has no usable "
            "libcuda.so.1: install the driver's CUDA library and load its kernel module"
        )
    if Version(host.driver.cuda_version) < Version(wanted):
        raise UnmetRequirement(
            f"unsupported CUDA version: driver {host.driver.cuda_version} < image {label}"
        )


def _major_minor(label: str) -> str | None:
    """Return what v1's scan of ``%d.%d`` found at the start of a label, None if nothing."""
    numbers, rest = [], label
    for end in (".", ""):
        rest = rest.lstrip(" \t")
        negative, rest = rest[:1] == "-", rest[1:] if rest[:1] in ("+", "-") else rest
        after = rest.lstrip(_DIGITS)
        digits = rest[: len(rest) - len(after)]
        if not 0 < len(digits) <= _MOST_DIGITS or not after.startswith(end):
            return None
        # No driver has less than 0: a negative number asks for nothing.
        numbers.append("0" if negative else digits)
        rest = after[len(end) :]
    return ".".join(numbers)


def _conditions(environment: Mapping[str, str]) -> list[Condition]:
    conditions = [
        Condition(value)
        for name, value in sorted(environment.items())
        if name.startswith(_REQUIRE_PREFIX) and not name.startswith(_JETPACK)
    ]
    if _is_legacy(environment):
        version = _leading_version(environment[_CUDA_VERSION])
        if version:
            conditions.append(Condition(f"cuda>={version}"))
    return conditions


def _is_legacy(environment: Mapping[str, str]) -> bool:
    """Whether it is an image of 2017 or before: it says its CUDA version and demands nothing."""
    return bool(environment.get(_CUDA_VERSION)) and not environment.get(_REQUIRE_CUDA)


def _leading_version(text: str) -> str:
    """Return major and, if told, minor of a text such as ``11.8.0-devel``; empty if it has none."""
    numbers = text[: len(text) - len(text.lstrip(_DIGITS + "."))].split(".")
    return ".".join(number for number in numbers[:2] if number) if numbers[0] else ""


def _gpus(host: Host, devices: Iterable[Selected]) -> list[Device]:
    """Return the GPUs, each once; a MIG device has its GPU's architecture and brand."""
    by_uuid = {device.uuid: device for device in host.devices}
    uuids = (getattr(device, "gpu_uuid", device.uuid) for device in devices)
    return [by_uuid[uuid] for uuid in dict.fromkeys(uuids)]
