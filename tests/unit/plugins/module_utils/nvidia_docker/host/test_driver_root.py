# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names in a driver root, and the links that they lead through."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_root,
)


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("/usr/lib/file", "/usr/lib/file"),
        ("/lib/file", "/usr/lib/file"),
        ("//lib/./file", "/usr/lib/file"),
        ("/absolute", "/usr/lib/file"),
        ("/../../lib/file", "/usr/lib/file"),
        ("/usr/lib/escape", "/usr/lib/file"),
        ("/usr/lib/escape-all", "/"),
        ("/dangling", None),
        ("/loop", None),
        ("/usr/lib/file/below", None),
        ("/nothing", None),
        ("/nul\0", None),
    ],
)
def test_links_stay_inside_of_the_root(tmp_path, path, resolved) -> None:
    """As after chroot: neither absolute links nor .. lead out."""
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/file").touch()
    for name, target in {
        "lib": "usr/lib",
        "absolute": "/lib/file",
        "usr/lib/escape": "../../../../lib/file",
        "usr/lib/escape-all": "../../../../..",
        "dangling": "/usr/lib/none",
        "loop": "loop",
    }.items():
        (tmp_path / name).symlink_to(target)
    assert driver_root.DriverRoot(tmp_path).resolve(path) == resolved
