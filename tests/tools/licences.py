# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""licences.py COLLECTION: put the licences of the vendored packages into LICENSES, as REUSE wants.

In the checkout they would be licences of nothing, as _vendor is made.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import components


def main(arguments: list[str]) -> int:
    collection = Path(arguments[0])
    vendor = collection / "plugins" / "module_utils" / "nvidia_docker" / "_vendor"
    for component in components.COMPONENTS:
        target = collection / "LICENSES" / f"{component.licence}.txt"
        shutil.copyfile(vendor / component.licence_file, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
