# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""uninstall.yml on a host whose containers need what would go. Molecule runs it to its end."""

from __future__ import annotations

import json
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "uninstall.md"
COMMAND = "ansible-playbook -i inventory gpufleet.nvidia.uninstall"


def test_no_container_is_removed_without_being_told(on_host, on_controller) -> None:
    """They are named, those too that do not run or were made by docker run; nothing has changed."""
    assert COMMAND in PAGE.read_text().splitlines()
    image = "gpufleet/cuda:8.0"
    on_host(
        f"nvidia-docker create --name by-hand {image} true; docker create --name plain {image} true"
    )
    try:
        done = on_controller(COMMAND, ok=False)
        assert done.returncode == 2
        message = json.loads(re.search(r"FAILED! => (\{.*\})", done.stdout)[1])["msg"]
        names = re.match(r"Containers need what would be removed: (.*)\. Remove them", message)[1]
        assert sorted(names.split(", ")) == ["by-hand (created)", "training (running)"]
        assert " changed=0 " in done.stdout
    finally:
        on_host("docker rm by-hand plain")
