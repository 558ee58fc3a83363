# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/pynvml_binding.py: what discovery's tests, which have a vendored pynvml, don't reach."""

from __future__ import annotations

from pathlib import Path

import pynvml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    pynvml_binding,
)


def test_the_installed_programs_copy_is_a_module() -> None:
    """A collection without its own pynvml uses the file that the programs brought."""
    module = pynvml_binding._from_file(Path(pynvml.__file__))
    assert module is not pynvml
    assert module.NVML_ERROR_NOT_SUPPORTED == 3
    assert issubclass(module.NVMLError_NotSupported, module.NVMLError)
