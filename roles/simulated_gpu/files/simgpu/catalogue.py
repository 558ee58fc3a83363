# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user-space files of an NVIDIA driver, by version: names, SONAMEs, needs, links."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST, _LAST = 0, 10**6


@dataclass(frozen=True)
class Library:
    """A shared library. ``{version}`` in a name stands for the driver version.

    :param soname: what the loader looks for; a link of that name leads to the file
    :param needed: SONAMEs of other driver libraries
    :param folder: below the library directory
    :param plain_link: also a link without any version (``libcuda.so``)
    :param since: first driver branch that has it
    :param until: first driver branch that has it no more
    :param shared: may belong to another package (GLVND); then that one's file is left alone
    """

    file: str
    soname: str
    needed: tuple[str, ...] = ()
    folder: str = ""
    plain_link: bool = False
    since: int = _FIRST
    until: int = _LAST
    shared: bool = False


NVML = Library("libnvidia-ml.so.{version}", "libnvidia-ml.so.1", plain_link=True)
CUDA = Library("libcuda.so.{version}", "libcuda.so.1", plain_link=True)


def _own(
    stem: str, number: str = "", since: int = _FIRST, until: int = _LAST, plain: bool = False
) -> Library:
    """Named after the driver version; without a number the SONAME carries the version too."""
    file = f"{stem}.so.{{version}}"
    return Library(
        file, f"{stem}.so.{number}" if number else file, plain_link=plain, since=since, until=until
    )


def _loader(stem: str, number: str, *needed: str) -> Library:
    """A GLVND loader that old drivers brought along."""
    soname = f"{stem}.so.{number}"
    return Library(soname, soname, needed=needed, until=450, shared=True)


_STUBS = (
    _own("libnvidia-cfg", "1", plain=True),
    _own("libnvidia-opencl", "1"),
    _own("libnvidia-ptxjitcompiler", until=390),
    _own("libnvidia-ptxjitcompiler", "1", since=390, plain=True),
    _own("libnvidia-fatbinaryloader", until=450),
    _own("libnvidia-compiler", until=465),
    _own("libnvidia-nvvm", "4", since=470, plain=True),
    _own("libnvidia-gpucomp", since=545),
    _own("libnvidia-allocator", "1", since=440, plain=True),
    _own("libcudadebugger", "1", since=515),
    _own("libnvidia-pkcs11", since=530),
    _own("libnvidia-pkcs11-openssl3", since=530),
    _own("libnvidia-ngx", "1", since=450, plain=True),
    _own("libnvcuvid", "1", plain=True),
    _own("libnvidia-encode", "1", plain=True),
    _own("libnvidia-opticalflow", "1", since=415, plain=True),
    _own("libnvidia-fbc", "1", plain=True),
    _own("libnvidia-ifr", "1", until=465, plain=True),
    Library("libvdpau_nvidia.so.{version}", "libvdpau_nvidia.so.1", folder="vdpau"),
    _own("libnvidia-tls"),
    _own("libnvidia-glsi"),
    _own("libnvidia-glcore"),
    _own("libnvidia-eglcore"),
    _own("libnvidia-glvkspirv", since=396),
    _own("libnvidia-cbl", since=410, until=455),
    _own("libnvidia-rtcore", since=410),
    _own("libnvoptix", "1", since=410),
    Library("libnvidia-egl-wayland.so.1.1.0", "libnvidia-egl-wayland.so.1", since=378),
    Library("libnvidia-egl-gbm.so.1.1.0", "libnvidia-egl-gbm.so.1", since=495),
    _own("libGLX_nvidia", "0"),
    _own("libEGL_nvidia", "0"),
    _own("libGLESv1_CM_nvidia", "1"),
    _own("libGLESv2_nvidia", "2"),
    _loader("libGLdispatch", "0"),
    _loader("libGLX", "0", "libGLdispatch.so.0"),
    _loader("libOpenGL", "0", "libGLdispatch.so.0"),
    _loader("libGL", "1", "libGLX.so.0", "libGLdispatch.so.0"),
    _loader("libGLESv1_CM", "1", "libGLdispatch.so.0"),
    _loader("libGLESv2", "2", "libGLdispatch.so.0"),
    _loader("libEGL", "1", "libGLdispatch.so.0"),
)

# Programs of which only presence matters, and since which driver branch.
_PROGRAMS = (
    ("nvidia-debugdump", _FIRST),
    ("nvidia-persistenced", _FIRST),
    ("nvidia-cuda-mps-control", _FIRST),
    ("nvidia-cuda-mps-server", _FIRST),
)


def branch(driver: str) -> int:
    """The driver branch, the first number of the version: 550 of 550.163.01."""
    return int(driver.split(".")[0])


def stub_libraries(driver: str) -> list[Library]:
    """The libraries beside libnvidia-ml and libcuda, those that others need first."""
    return [stub for stub in _STUBS if stub.since <= branch(driver) < stub.until]


def stub_programs(driver: str) -> list[str]:
    """The programs beside nvidia-smi and nvidia-modprobe."""
    return [name for name, since in _PROGRAMS if since <= branch(driver)]
