# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are replaced whole on the controller: a reader sees the old one or the new one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ..module_utils.nvidia_docker.host.durable import sync_directory


def replace(path: Path, text: str) -> None:
    """Write C(text) as UTF-8 to C(path), with the permissions of a new file.

    Raises OSError; then the old file is as it was.
    """
    mask = os.umask(0)
    os.umask(mask)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        # What a host said may hold half of a surrogate pair, which has no UTF-8.
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o666 & ~mask)
            os.fsync(descriptor)
        os.rename(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    sync_directory(path.parent)
