# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue: which files of the NVIDIA driver a container may need, per driver capability.

Data, and the rule of the names. Adding a file is one line. A library is named without ``.so``;
every file ``<name>.so`` and ``<name>.so.<anything>`` that the loader knows belongs to it.

Sources: the lists of libnvidia-container and the NVIDIA Container Toolkit, the README of the driver
(chapter "Installed components"), and what Debian's, Fedora's and NVIDIA's own packages install.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class DriverCapability(Enum):
    """NVIDIA_DRIVER_CAPABILITIES's words.

    ``video`` needs everything of ``compute`` too. ``display`` is ``graphics`` with the modeset
    device node, it has no file of its own. ``compat32`` stands for the 32-bit twins (directory
    ``lib``) of whatever else is asked for.
    """

    COMPUTE = "compute"
    UTILITY = "utility"
    VIDEO = "video"
    GRAPHICS = "graphics"
    DISPLAY = "display"
    NGX = "ngx"
    COMPAT32 = "compat32"


ALL_CAPABILITIES = frozenset(DriverCapability)


def with_implied(capabilities: Iterable[DriverCapability]) -> frozenset[DriverCapability]:
    """Return the capabilities whose files are needed: ``video`` brings ``compute`` with it."""
    wanted = set(capabilities)
    for capability, implied in _IMPLIED.items():
        if capability in wanted:
            wanted.add(implied)
    return frozenset(wanted)


_IMPLIED = {
    DriverCapability.VIDEO: DriverCapability.COMPUTE,
    DriverCapability.DISPLAY: DriverCapability.GRAPHICS,
}


@dataclass(frozen=True)
class Library:
    """A shared library of the driver."""

    name: str
    capability: DriverCapability
    remark: str
    needs_one_of: tuple[str, ...] = ()
    """Left out unless one of these is in its DT_NEEDED: other software has a file of this name."""
    link: str | None = None
    """A further name that programs dlopen."""
    modern_tls_only: bool = False
    """Left out if its ABI note says that it is for kernels without thread-local storage."""
    beside: tuple[str, ...] = ()
    """Where it is beside the other libraries, since ldconfig does not list it."""
    also_for: tuple[DriverCapability, ...] = ()
    """Further capabilities whose libraries need it."""


@dataclass(frozen=True)
class Binary:
    """A program of the driver."""

    name: str
    capability: DriverCapability
    remark: str


@dataclass(frozen=True)
class ConfigurationFile:
    """A file that tells a loader which library is the driver's, or data that a library reads."""

    name: str
    """Below ``share`` in a volume, and below one of ``CONFIGURATION_DIRECTORIES`` on the host."""
    capability: DriverCapability
    remark: str
    other_names: tuple[str, ...] = ()
    """Where some drivers put it instead."""
    machine: str | None = None
    """Only for libraries of this machine (``uname -m``); ``None``: for any."""
    beside: str | None = None
    """The library that some packages leave it beside."""


ESSENTIAL_LIBRARY = "libnvidia-ml"
"""Every driver has it; without it there is no driver here."""

_COMPUTE, _UTILITY = DriverCapability.COMPUTE, DriverCapability.UTILITY
_VIDEO, _GRAPHICS = DriverCapability.VIDEO, DriverCapability.GRAPHICS
_NGX = DriverCapability.NGX

_NVIDIA_OR_GLVND = ("libnvidia-glcore", "libnvidia-eglcore", "libGLdispatch")
"""NVIDIA's GL before GLVND needs a core, a GLVND loader the dispatcher; Mesa's needs neither."""

LIBRARIES = (
    Library("libnvidia-ml", _UTILITY, "NVML, what nvidia-smi uses"),
    Library("libnvidia-cfg", _UTILITY, "GPU configuration, since MIG needed by nvidia-smi"),
    Library("libnvidia-nscq", _UTILITY, "NVSwitch configuration and query"),
    Library("libcuda", _COMPUTE, "CUDA driver API", link="libcuda.so"),
    Library("libcudadebugger", _COMPUTE, "cuda-gdb's back end (510 and later)"),
    Library("libnvidia-ptxjitcompiler", _COMPUTE, "PTX to machine code"),
    Library("libnvidia-fatbinaryloader", _COMPUTE, "needed by libcuda up to 440"),
    Library("libnvidia-nvvm", _COMPUTE, "link-time optimisation in the JIT (470 and later)"),
    Library(
        "libnvidia-nvvm70", _COMPUTE, "the same for programs older than CUDA 12 (575 and later)"
    ),
    Library("libnvidia-tileiras", _COMPUTE, "tile IR assembler (590 and later)"),
    Library(
        "libnvidia-gpucomp",
        _COMPUTE,
        "compiler that libnvidia-glcore needs too (545 and later)",
        also_for=(_GRAPHICS,),
    ),
    Library("libnvidia-opencl", _COMPUTE, "OpenCL driver"),
    Library("libnvidia-compiler", _COMPUTE, "OpenCL compiler up to 510"),
    Library("libnvidia-compiler-next", _COMPUTE, "its successor, 465 to 510"),
    Library(
        "libnvidia-allocator",
        _COMPUTE,
        "memory shared between processes; the back end of GBM",
        also_for=(_GRAPHICS,),
    ),
    Library("libnvidia-pkcs11", _COMPUTE, "confidential computing, OpenSSL 1.1"),
    Library("libnvidia-pkcs11-openssl3", _COMPUTE, "confidential computing, OpenSSL 3"),
    Library(
        "libvdpau_nvidia",
        _VIDEO,
        "VDPAU decoding",
        beside=("vdpau/libvdpau_nvidia.so.1", "libvdpau_nvidia.so.1"),
    ),
    Library("libnvidia-encode", _VIDEO, "NVENC"),
    Library("libnvcuvid", _VIDEO, "NVDEC"),
    Library("libnvidia-opticalflow", _VIDEO, "optical flow", link="libnvidia-opticalflow.so"),
    Library("libnvidia-fbc", _GRAPHICS, "frame buffer capture"),
    Library("libnvidia-ifr", _GRAPHICS, "inband frame readback up to 460"),
    Library("libGL", _GRAPHICS, "OpenGL with GLX", needs_one_of=_NVIDIA_OR_GLVND),
    Library("libEGL", _GRAPHICS, "EGL", needs_one_of=_NVIDIA_OR_GLVND),
    Library("libGLESv1_CM", _GRAPHICS, "OpenGL ES 1", needs_one_of=_NVIDIA_OR_GLVND),
    Library("libGLESv2", _GRAPHICS, "OpenGL ES 2 and 3", needs_one_of=_NVIDIA_OR_GLVND),
    Library("libGLX", _GRAPHICS, "GLVND's GLX"),
    Library("libOpenGL", _GRAPHICS, "GLVND's OpenGL without GLX"),
    Library("libGLdispatch", _GRAPHICS, "GLVND's dispatcher"),
    Library(
        "libGLX_nvidia", _GRAPHICS, "GLX and Vulkan vendor library", link="libGLX_indirect.so.0"
    ),
    Library("libEGL_nvidia", _GRAPHICS, "EGL vendor library"),
    Library("libGLESv1_CM_nvidia", _GRAPHICS, "OpenGL ES 1 vendor library"),
    Library("libGLESv2_nvidia", _GRAPHICS, "OpenGL ES 2 vendor library"),
    Library("libnvidia-glcore", _GRAPHICS, "core of OpenGL and Vulkan"),
    Library("libnvidia-eglcore", _GRAPHICS, "core of EGL"),
    Library("libnvidia-glsi", _GRAPHICS, "OpenGL system interaction"),
    Library("libnvidia-tls", _GRAPHICS, "thread-local storage of OpenGL", modern_tls_only=True),
    Library("libnvidia-glvkspirv", _GRAPHICS, "SPIR-V compiler of Vulkan (396 and later)"),
    Library("libnvidia-cbl", _GRAPHICS, "ray tracing in Vulkan, 418 to 450"),
    Library("libnvidia-rtcore", _GRAPHICS, "ray tracing cores (410 and later)"),
    Library("libnvoptix", _GRAPHICS, "OptiX (410 and later)"),
    Library("libnvidia-egl-wayland", _GRAPHICS, "EGL on Wayland; a version of its own"),
    Library("libnvidia-egl-wayland2", _GRAPHICS, "its successor (590 and later)"),
    Library("libnvidia-egl-gbm", _GRAPHICS, "EGL on GBM; a version of its own"),
    Library("libnvidia-egl-xcb", _GRAPHICS, "EGL on X with XCB; a version of its own"),
    Library("libnvidia-egl-xlib", _GRAPHICS, "EGL on X with Xlib; a version of its own"),
    Library(
        "libnvidia-present", _GRAPHICS, "the Vulkan layer of nvidia_layers.json (570 and later)"
    ),
    Library("libnvidia-vksc-core", _GRAPHICS, "Vulkan SC (545 and later)"),
    Library("libnvidia-ngx", _NGX, "neural graphics (DLSS)"),
)

BINARIES = (
    Binary("nvidia-smi", _UTILITY, "the GPU's command line"),
    Binary("nvidia-debugdump", _UTILITY, "error reports"),
    Binary("nvidia-persistenced", _UTILITY, "v1 has it; the host's own process does the work"),
    Binary("nvidia-cuda-mps-control", _COMPUTE, "multi-process service, control"),
    Binary("nvidia-cuda-mps-server", _COMPUTE, "multi-process service, server"),
)

CONFIGURATION_FILES = (
    ConfigurationFile("OpenCL/vendors/nvidia.icd", _COMPUTE, "names the OpenCL driver"),
    ConfigurationFile("glvnd/egl_vendor.d/10_nvidia.json", _GRAPHICS, "names the EGL driver"),
    ConfigurationFile(
        "egl/egl_external_platform.d/09_nvidia_wayland2.json", _GRAPHICS, "EGL on Wayland, new"
    ),
    ConfigurationFile(
        "egl/egl_external_platform.d/10_nvidia_wayland.json", _GRAPHICS, "EGL on Wayland"
    ),
    ConfigurationFile("egl/egl_external_platform.d/15_nvidia_gbm.json", _GRAPHICS, "EGL on GBM"),
    ConfigurationFile("egl/egl_external_platform.d/20_nvidia_xcb.json", _GRAPHICS, "EGL with XCB"),
    ConfigurationFile(
        "egl/egl_external_platform.d/20_nvidia_xlib.json", _GRAPHICS, "EGL with Xlib"
    ),
    ConfigurationFile("vulkan/icd.d/nvidia_icd.json", _GRAPHICS, "names the Vulkan driver"),
    ConfigurationFile(
        "vulkan/icd.d/nvidia_icd.x86_64.json",
        _GRAPHICS,
        "the same in RPM packages",
        machine="x86_64",
    ),
    ConfigurationFile(
        "vulkan/icd.d/nvidia_icd.aarch64.json",
        _GRAPHICS,
        "the same in RPM packages",
        machine="aarch64",
    ),
    ConfigurationFile(
        "vulkan/icd.d/nvidia_icd.i686.json",
        _GRAPHICS,
        "the 32-bit twin in RPM packages",
        machine="i686",
    ),
    ConfigurationFile(
        "vulkan/implicit_layer.d/nvidia_layers.json",
        _GRAPHICS,
        "Vulkan layers: Optimus, Smooth Motion",
        other_names=(
            "vulkan/explicit_layer.d/nvidia_layers.json",
            "vulkan/icd.d/nvidia_layers.json",
        ),
    ),
    ConfigurationFile(
        "vulkansc/icd.d/nvidia_icd_vksc.json",
        _GRAPHICS,
        "names the Vulkan SC driver; NVIDIA's RPM packages name it after the machine",
        other_names=("vulkansc/icd.d/nvidia_icd.x86_64.json",),
    ),
    ConfigurationFile(
        "nvidia/nvoptix.bin", _GRAPHICS, "what OptiX's denoiser has learnt", beside="libnvoptix"
    ),
)

FIRMWARE = "gsp_*.bin"
"""The GPU system processor's firmware in ``nvidia/<driver version>/``; engines mount it apart."""

ENTRIES: dict[str, Library | Binary | ConfigurationFile] = {
    entry.name: entry for entry in (*LIBRARIES, *BINARIES, *CONFIGURATION_FILES)
}
"""The whole catalogue by name."""


def needed_for(name: str) -> frozenset[DriverCapability]:
    """Return the capabilities that need the file of this catalogue name."""
    entry = ENTRIES[name]
    also_for = entry.also_for if isinstance(entry, Library) else ()
    return frozenset((entry.capability, *also_for))


EXCLUDED = (
    ("libOpenCL", "the loader of OpenCL drivers belongs to the image"),
    ("libglxserver_nvidia", "module of the X server, which is the host's"),
    ("libnvidia-wfb", "module of the X server up to 410"),
    ("libnvidia-gtk2", "part of nvidia-settings"),
    ("libnvidia-gtk3", "part of nvidia-settings"),
    ("libnvidia-wayland-client", "part of nvidia-settings"),
    ("libnvidia-api", "NVAPI for Wine; no container asked for it so far"),
    ("libnvidia-sandboxutils", "for container tools on the host"),
    (
        "libnvidia-vulkan-producer",
        "Vulkan for Wayland compositors up to 545; packages lack its link",
    ),
    ("libnvsdm", "the host's monitoring of NVSwitch"),
    ("libnvfm", "the client of the fabric manager"),
    ("nvidia-application-profiles", "work-arounds for single programs; read at a fixed path only"),
    ("nvidia-imex", "the host's service for memory between nodes"),
    ("nvidia-imex-ctl", "asks the host's service"),
    ("nvidia-powerd", "the host's service for power limits"),
    ("nvidia-ngx-updater", "downloads newer networks: the host's task"),
    ("nvidia-pcc", "Vulkan SC's offline compiler: for making programs, not for running them"),
    ("nvidia-modprobe", "loads kernel modules: the host's task"),
    ("nvidia-settings", "a program of the desktop"),
    ("nvidia-xconfig", "writes the X server's configuration"),
    ("nv-fabricmanager", "the host's service for NVSwitch"),
)
"""Deliberately not in a driver volume, and why."""

BINARY_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where a driver's programs are looked up, in this order."""

CONFIGURATION_DIRECTORIES = ("/etc", "/usr/local/share", "/usr/share")
"""Where configuration files are looked up, in the order of the loaders of Vulkan and EGL."""

_DRIVER_VERSION = re.compile(r"[0-9]{3,}(\.[0-9]+)+")


def library_name(name: str) -> str | None:
    """Return ``libcuda`` for ``libcuda.so``, ``libcuda.so.1`` …; ``None``: no library's name."""
    base, separator, suffix = name.partition(".so")
    if not base or not separator or (suffix and not suffix.startswith(".")):
        return None
    return base


def driver_version_of(file_name: str) -> str | None:
    """Return the driver version in a file name: ``550.54.15`` of ``libcuda.so.550.54.15``.

    ``None`` if it has none: ``libGL.so.1.7.0`` and ``libnvidia-egl-gbm.so.1.1.0`` have versions of
    their own; a driver's first number has had three digits since 2008.
    """
    suffix = file_name.partition(".so.")[2]
    return suffix if _DRIVER_VERSION.fullmatch(suffix) else None
