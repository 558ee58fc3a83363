# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds pynvml, and opens and closes NVML with it."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from zipimport import zipimporter

from ..errors import DriverMismatch, DriverUnavailable
from . import zip_import

INSTALLED_COPY = Path("/usr/local/lib/nvidia-docker/current/nvidia_docker/_vendor/pynvml.py")
"""The programs' byte-compiled copy: for a module in a zip that has the same, and for a collection
that was not built with its own."""


_open: list[ModuleType] = []
"""pynvml, while NVML is open."""


@contextmanager
def opened() -> Iterator[ModuleType]:
    """Give pynvml while NVML is open; inside another ``opened()`` that one's.

    For one thread at a time. Raises DriverUnavailable with the reason.
    """
    if _open:
        yield _open[-1]
        return
    binding = _load()
    try:
        try:
            binding.nvmlInit()
        except binding.NVMLError as error:
            mismatch = error.value == binding.NVML_ERROR_LIB_RM_VERSION_MISMATCH
            kind = DriverMismatch if mismatch else DriverUnavailable
            raise kind(_why(binding, error)) from None
        _open.append(binding)
        try:
            yield binding
        finally:
            _open.clear()
            # A driver that has gone meanwhile has nothing left to close.
            with suppress(binding.NVMLError):
                binding.nvmlShutdown()
    finally:
        _unload(binding)


def _load() -> ModuleType:
    """Return pynvml: ours, else the installed programs', else the host's own."""
    with suppress(ImportError):
        return _ours()
    if INSTALLED_COPY.is_file():
        return _from_file(INSTALLED_COPY)
    try:
        import pynvml  # type: ignore[no-redef, import-untyped, unused-ignore]

        return pynvml  # type: ignore[no-any-return, unused-ignore]
    except ImportError:
        raise DriverUnavailable(
            "pynvml is missing: install the built collection (ansible-galaxy collection install), "
            "or run 'make vendor' in the checkout"
        ) from None


def _ours() -> ModuleType:
    """Return pynvml as the collection brings it; raises ImportError if it does not."""
    folder = importlib.import_module(".._vendor", __package__)
    if isinstance(folder.__loader__, zipimporter):
        # Compiling pynvml takes more time than all that is asked of NVML.
        return zip_import.load(f"{folder.__name__}.pynvml", folder.__path__[0], INSTALLED_COPY)
    # Ansible puts into a zip what an import names.
    from .._vendor import pynvml

    return cast("ModuleType", pynvml)


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("nvidia_docker_pynvml", path)
    if spec is None or spec.loader is None:
        raise DriverUnavailable(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    # pynvml looks itself up there while it is imported.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _unload(binding: ModuleType) -> None:
    """Let go of libnvidia-ml, so that a process that lives on sees the next driver's."""
    library = getattr(binding, "nvmlLib", None)
    if library is not None:
        binding.nvmlLib = None  # type: ignore[attr-defined]
        binding.__dict__.get("_nvmlGetFunctionPointer_cache", {}).clear()
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(library._handle))


def _loaders_words() -> str:
    """Why there is no library: pynvml says "not found" for a broken one too."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as error:
        return str(error).rpartition(": ")[2]
    return "it can now"


def _why(binding: ModuleType, error: Any) -> str:
    if error.value == binding.NVML_ERROR_LIBRARY_NOT_FOUND:
        return (
            f"libnvidia-ml.so.1 can't be loaded ({_loaders_words()}): install the NVIDIA driver, "
            "or run ldconfig if it is installed"
        )
    reasons = {
        binding.NVML_ERROR_DRIVER_NOT_LOADED: (
            "the NVIDIA kernel module is not loaded: run 'modprobe nvidia', or reboot after a "
            "kernel or driver update"
        ),
        binding.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
            "libnvidia-ml.so.1 and the loaded NVIDIA kernel module are of different versions: "
            "reboot, or reload the module"
        ),
        binding.NVML_ERROR_NO_PERMISSION: "no permission to use NVML: run as root",
        binding.NVML_ERROR_FUNCTION_NOT_FOUND: (
            "libnvidia-ml.so.1 is too old for pynvml: update the NVIDIA driver"
        ),
    }
    return reasons.get(error.value, f"NVML can't be started: {error}")
