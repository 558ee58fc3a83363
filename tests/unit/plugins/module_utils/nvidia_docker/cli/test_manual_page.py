# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-docker(1) against the command."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ansible_collections.gpufleet.nvidia.plugins.module_utils import nvidia_docker

PACKAGE = Path(next(iter(nvidia_docker.__path__)))
PAGE = PACKAGE / "share" / "man" / "man1" / "nvidia-docker.1"
ENVIRONMENT = re.compile(r"^\.SH ENVIRONMENT\n(.*?)^\.SH ", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^\.T[PQ]\n\.B ([A-Z_]+)$", re.MULTILINE)


def variables_read() -> set[str]:
    """Each NAME of environ.get("NAME") and environ["NAME"] where the command's code lies."""
    found = set()
    for path in (*(PACKAGE / "cli").glob("*.py"), PACKAGE / "host" / "owned_cache.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                asked, key = node.func, node.args[0]
                if not isinstance(asked, ast.Attribute) or asked.attr != "get":
                    continue
                owner = asked.value
            elif isinstance(node, ast.Subscript):
                owner, key = node.value, node.slice
            else:
                continue
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name == "environ" and isinstance(key, ast.Constant):
                found.add(key.value)
    return found


def test_it_tells_every_variable_that_is_read() -> None:
    """And no other."""
    (section,) = ENVIRONMENT.findall(PAGE.read_text())
    assert set(NAMED.findall(section)) == variables_read()
