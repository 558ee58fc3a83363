# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs as the controller has them: the files of the package nvidia_docker."""

from __future__ import annotations

from pathlib import Path

from ..module_utils.nvidia_docker.host.layout import SHARED
from ..module_utils.nvidia_docker.host.release import PACKAGE, ProgramsError

FOLDER = Path(__file__).resolve().parents[1] / "module_utils" / PACKAGE
COPYING = FOLDER.parents[2] / "LICENSES" / "GPL-3.0-or-later.txt"
VENDORED = ("h11/__init__.py", "prometheus_client/__init__.py", "pynvml.py")
"""Without these the programs would not start, or not serve every path."""


def read_files(folder: Path = FOLDER) -> dict[str, bytes]:
    """Return name in the release and content of each file that a host needs: the Python files, the
    licences of all of them, manual pages and completions.

    Raises ProgramsError if the vendored packages are not there.
    """
    vendor = folder / "_vendor"
    missing = [name for name in VENDORED if not (vendor / name).is_file()]
    if missing:
        raise ProgramsError(
            f"{', '.join(missing)} is missing in {vendor}: run 'make vendor' in the checkout, "
            "or use the built collection"
        )
    paths = [*folder.rglob("*.py"), *(vendor / "licenses").glob("*.txt")]
    paths += [folder / "share" / name for name in SHARED]
    files = {
        f"{PACKAGE}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(paths)
    }
    return {**files, f"{PACKAGE}/{COPYING.name}": COPYING.read_bytes()}
