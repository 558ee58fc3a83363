# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arrows of docs/architecture.md: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = PLUGINS / "module_utils" / "nvidia_docker"
NAME = "nvidia_docker"

CENTRE = "centre"
MAY_IMPORT = {
    CENTRE: {CENTRE},
    "host": {CENTRE, "host", "_vendor"},
    "render": {CENTRE, "render"},
    "plugin": {CENTRE, "host", "render", "plugin"},
    "cli": {CENTRE, "host", "render", "cli"},
    "cdi": {CENTRE, "host", "render", "cdi"},
}
OUTSIDE = {
    "_vendor": {"host"},
    "h11": {"plugin"},
    "prometheus_client": {"render"},
    "pynvml": {"host"},
}
"""Packages from elsewhere, and the only layers that import them."""
PURE = {CENTRE, "render"}
IMPURE_MODULES = {"os", "subprocess", "socket", "pathlib", "shutil", "ctypes", "http", "urllib"}


def sources() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "_vendor" not in p.relative_to(PACKAGE).parts)


def layer(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return CENTRE if len(parts) == 1 else parts[0]


def imports(path: Path) -> list[tuple[str, str]]:
    """Return (kind, name) pairs: "own" with a layer, or "outside" with a top-level module."""
    found: list[tuple[str, str]] = []
    package = ("", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [("outside", alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(("outside", (node.module or "").split(".")[0]))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - (node.level - 1)]
            tail = tuple((node.module or "").split(".")) if node.module else ()
            for alias in node.names:
                target = (*base[1:], *tail, alias.name)
                first = target[0]
                found.append(
                    ("own", first if (PACKAGE / first).is_dir() or first == "_vendor" else CENTRE)
                )
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_layer_may(path: Path) -> None:
    """centre <- host, render <- cli, plugin, cdi; nothing the other way."""
    here = layer(path)
    for kind, name in imports(path):
        if kind == "own":
            assert name in MAY_IMPORT[here], f"{here} must not import {name}"
        else:
            assert name != "ansible", "only plugins/modules and plugins/action import ansible"
            assert name != "ansible_collections", "the package imports itself relatively"
            assert here in OUTSIDE.get(name, {here}), f"{here} must not import {name}"
            if here in PURE:
                assert name not in IMPURE_MODULES, f"{here} is pure, it must not import {name}"


def test_only_modules_and_actions_import_ansible() -> None:
    """The core library can be used without Ansible."""
    for path in sorted(PLUGINS.rglob("*.py")):
        parts = path.relative_to(PLUGINS).parts
        if parts[0] in ("modules", "action") or "_vendor" in parts:
            continue
        assert "import ansible" not in path.read_text(), path
        assert "from ansible" not in path.read_text(), path


@pytest.mark.parametrize("text", ["/dev/nvidia", "/usr/local/nvidia", "--device="])
def test_one_place_plans(text: str) -> None:
    """A second place that writes device paths or the mount point is a second planner."""
    allowed = {
        "/dev/nvidia": {"model.py", "host/nvml.py"},
        "/usr/local/nvidia": {"injection.py"},
        "--device=": {"render/docker_cli.py"},
    }[text]
    for path in sources():
        tree = ast.parse(path.read_text())
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        strings = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docs
        ]
        if str(path.relative_to(PACKAGE)) not in allowed:
            stray = [s for s in strings if text in s and "\n" not in s]
            assert not stray, f"{path}: {stray}"
