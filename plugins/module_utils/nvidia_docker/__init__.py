# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program: what a container needs to use this machine's NVIDIA GPUs.

Ansible modules import this package where it lies; hosts get the same folder as the programs
nvidia-docker and nvidia-docker-plugin. Who may import whom (docs/architecture.md):

    plugins/modules, plugins/action, cli/, plugin/     fronts: parse input, wire, translate errors
    host/ (reads and prepares the machine)  render/ (writes values down)     edges
    model selection requirement injection driver_files daemon_json errors    centre: pure

``__all__`` is the library, under semantic versioning (docs/library.md). A name is imported when it
is used first, so that the programs pay for nothing.
"""

from __future__ import annotations

__version__ = "1.0.0"

_MODULES = {
    "docker_cli": "render.docker_cli",
    "driver_volume": "host.driver_volume",
    "gpu_info": "render.gpu_info",
    "requirement": "requirement",
}
_HOMES = {
    "errors": (
        "DriverFilesError",
        "DriverUnavailable",
        "DriverVolumeError",
        "InvalidInput",
        "MissingDeviceNode",
        "NvidiaDockerError",
        "UnknownDevice",
        "UnmetRequirement",
    ),
    "model": ("Device", "DeviceDetails", "Driver", "Host", "MigDevice", "P2PLink"),
    "selection": ("ALL", "NONE", "select"),
    "injection": ("STABLE_NAME", "Injection", "Mount", "VolumeName", "plan"),
    "host.discovery": ("describe", "discover"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_MODULES, *_HOME_OF])


def __getattr__(name: str) -> object:
    """PEP 562: import a public name from where it is defined."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f".{_MODULES.get(name) or _HOME_OF[name]}", __name__)
    return module if name in _MODULES else getattr(module, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
