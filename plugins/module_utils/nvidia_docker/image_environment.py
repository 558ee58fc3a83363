# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container's environment needs, so that programs find the driver volume.

Images of nvidia-docker 1.0 name it in PATH and LD_LIBRARY_PATH themselves, and many of NVIDIA's
still do. Others rely on the Container Toolkit, which puts driver files where the loader looks.
"""

from __future__ import annotations

from .injection import MOUNT_POINT, Injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .requirement import Image

_DIRECTORIES = {
    "PATH": (f"{MOUNT_POINT}/bin",),
    "LD_LIBRARY_PATH": (f"{MOUNT_POINT}/lib", f"{MOUNT_POINT}/lib64"),
}
_DEFAULTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""What Docker gives a container whose image says nothing."""


def complete(injection: Injection, image: Image) -> Injection:
    """Return the injection with the directories of the driver volume in PATH and LD_LIBRARY_PATH.

    They come first, as in NVIDIA's images: what the image itself has of a driver is of another
    version than the kernel module. A variable that names them already or that the user sets stays
    as it is; so does all of an image with the volumes label, which finds the volume (v1).
    """
    mounted = any(mount.target == MOUNT_POINT for mount in injection.mounts)
    if not mounted or image.volumes_needed:
        return injection
    variables = []
    for name, directories in _DIRECTORIES.items():
        value = image.environment.get(name, _DEFAULTS.get(name, ""))
        # Of the libraries, lib has the 32-bit ones: some images name lib64 alone.
        if name in image.given or directories[-1] in value.split(":"):
            continue
        # An empty entry would be the working directory.
        variables.append((name, ":".join((*directories, *([value] if value else [])))))
    return injection + Injection(environment=tuple(variables))
