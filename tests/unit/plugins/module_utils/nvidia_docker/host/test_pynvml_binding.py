# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/pynvml_binding.py: what discovery's tests, which have a vendored pynvml, don't reach."""

from __future__ import annotations

import subprocess
import sys
import zipfile
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


def test_as_ansible_sends_it_in_a_zip(tmp_path: Path) -> None:
    """Ours, and the same in each session of the process."""
    package = Path(pynvml_binding.__file__).parents[1]
    with zipfile.ZipFile(tmp_path / "module.zip", "w") as archive:
        for path in (*package.glob("*.py"), *package.glob("host/*.py")):
            archive.write(path, path.relative_to(package.parent))
        archive.writestr("nvidia_docker/_vendor/__init__.py", "")
        archive.writestr("nvidia_docker/_vendor/pynvml.py", "OURS = True\n")
    code = "from nvidia_docker.host.pynvml_binding import _load as load; print(load() is load())"
    code += "; print(load().OURS, load().__name__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {code}"]
        + [str(tmp_path / "module.zip")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "True", "nvidia_docker._vendor.pynvml"]
