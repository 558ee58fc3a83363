# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image demands of the host, and whether this host offers it.

Two generations of images say it in two ways: labels (nvidia-docker 1.0: com.nvidia.volumes.needed,
com.nvidia.cuda.version) and environment (NVIDIA_REQUIRE_*, as libnvidia-container reads it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import InvalidInput, UnmetRequirement
from .model import Device, Host
from .selection import Selected

VOLUMES_LABEL = "com.nvidia.volumes.needed"
CUDA_LABEL = "com.nvidia.cuda.version"
DRIVER_VOLUME = "nvidia_driver"

_REQUIRE_PREFIX = "NVIDIA_REQUIRE_"
_FACTOR = re.compile(r"(?P<key>[A-Za-z]+)(?P<op>>=|<=|!=|=|<|>)(?P<value>[^,\s]+)")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True)
class Image:
    """What the engine says of an image (``docker image inspect``: Config.Labels, Config.Env).

    ``given``: names of the variables that the user sets for the container; their values are in
    ``environment``.
    """

    reference: str
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    given: frozenset[str] = frozenset()

    @property
    def volumes_needed(self) -> tuple[str, ...]:
        """Names in the volumes label, e.g. ``("nvidia_driver",)``."""
        return tuple(self.labels.get(VOLUMES_LABEL, "").split())

    @property
    def is_gpu_image(self) -> bool:
        """Whether its author meant it to run with GPUs, by label or by environment."""
        visible = self.environment.get("NVIDIA_VISIBLE_DEVICES", "")
        legacy = "CUDA_VERSION" in self.environment
        return bool(self.volumes_needed) or visible not in ("", "void", "none") or legacy


def check(image: Image, host: Host, devices: Iterable[Selected]) -> None:
    """Raise UnmetRequirement if this host's driver can't serve the image.

    The CUDA label is answered with v1's sentence (``unsupported CUDA version: driver 8.0 < image
    9.0.176``); NVIDIA_REQUIRE_* with each unsatisfied condition and what the host has.
    NVIDIA_DISABLE_REQUIRE switches the latter off, as in libnvidia-container.
    Raises InvalidInput for a requirement that can't be read.
    """
    _check_cuda_label(image, host)
    if image.environment.get("NVIDIA_DISABLE_REQUIRE") in _TRUE:
        return
    facts = _facts(host, tuple(devices))
    unmet = [
        condition
        for condition in _conditions(image.environment)
        if not _holds_any(condition, facts)
    ]
    if unmet:
        has = ", ".join(f"{key} {'/'.join(values)}" for key, values in facts.items() if values)
        raise UnmetRequirement(
            f"image {image.reference} needs {' and '.join(unmet)}, "
            f"this host has {has or 'no driver'}: "
            "update the driver or use an image made for an older one"
        )


def _check_cuda_label(image: Image, host: Host) -> None:
    label = image.labels.get(CUDA_LABEL, "")
    if not label:
        return
    wanted = re.match(r"\s*(\d+)\.(\d+)", label)
    if wanted is None:
        raise InvalidInput(
            f"image {image.reference}: label {CUDA_LABEL}={label!r} is no version such as 8.0"
        )
    if host.driver.cuda_version is None:
        raise UnmetRequirement(
            f"image {image.reference} needs CUDA {label}, but this host has no usable "
            "libcuda.so.1: install the driver's CUDA library and load its kernel module"
        )
    if _version(host.driver.cuda_version)[:2] < (int(wanted[1]), int(wanted[2])):
        raise UnmetRequirement(
            f"unsupported CUDA version: driver {host.driver.cuda_version} < image {label}"
        )


def _conditions(environment: Mapping[str, str]) -> list[str]:
    conditions = [
        value.strip()
        for name, value in sorted(environment.items())
        if name.startswith(_REQUIRE_PREFIX) and name != "NVIDIA_REQUIRE_JETPACK" and value.strip()
    ]
    legacy = environment.get("CUDA_VERSION", "")
    if legacy and "NVIDIA_REQUIRE_CUDA" not in environment and re.match(r"\d+\.\d+", legacy):
        conditions.append("cuda>=" + ".".join(legacy.split(".")[:2]))
    return conditions


def _facts(host: Host, devices: tuple[Selected, ...]) -> dict[str, tuple[str, ...]]:
    by_uuid = {device.uuid: device for device in host.devices}
    gpus = [
        device if isinstance(device, Device) else by_uuid[device.gpu_uuid] for device in devices
    ]
    return {
        "cuda": (host.driver.cuda_version,) if host.driver.cuda_version else (),
        "driver": (host.driver.version,) if host.driver.version else (),
        "arch": tuple(sorted({gpu.compute_capability for gpu in gpus if gpu.compute_capability})),
        "brand": tuple(sorted({gpu.brand for gpu in gpus if gpu.brand})),
    }


def _holds_any(condition: str, facts: Mapping[str, tuple[str, ...]]) -> bool:
    """Blanks mean OR, commas AND (grammar of libnvidia-container's requirements)."""
    return any(
        all(_holds(factor, facts) for factor in term.split(",") if factor)
        for term in condition.split()
    )


def _holds(factor: str, facts: Mapping[str, tuple[str, ...]]) -> bool:
    match = _FACTOR.fullmatch(factor)
    if match is None or match["key"].lower() not in facts:
        raise InvalidInput(
            f"requirement {factor!r} is not understood: cuda, driver, arch or brand, then one of "
            "= != < <= > >=, then a value"
        )
    key, operator, wanted = match["key"].lower(), match["op"], match["value"]
    values = facts[key]
    if key == "brand":
        if operator not in ("=", "!="):
            raise InvalidInput(f"requirement {factor!r}: a brand can be compared by = and != only")
        return all((value.lower() == wanted.lower()) == (operator == "=") for value in values)
    if not values:
        # Without a GPU there is no architecture to refuse; without a driver nothing can be served.
        return key == "arch"
    return all(_compare(_version(value), operator, _version(wanted)) for value in values)


def _version(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(\.\d+)*", text):
        raise InvalidInput(f"{text!r} is no version: digits joined by dots")
    return tuple(int(part) for part in text.split("."))


def _compare(left: tuple[int, ...], operator: str, right: tuple[int, ...]) -> bool:
    width = max(len(left), len(right))
    a = left + (0,) * (width - len(left))
    b = right + (0,) * (width - len(right))
    return {
        "=": a == b,
        "!=": a != b,
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
    }[operator]
