# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the built collection and the archive for hosts carry of others, and under which licence.

Versions are those of meta/vendored.txt, but for what is bundled inside one of its packages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "meta" / "vendored.txt"
REQUIREMENT = re.compile(
    r"^([\w.-]+)==([\w.]+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


@dataclass(frozen=True)
class Component:
    """One work of others.

    ``files``: its paths in _vendor, a folder with a slash at its end. ``text``: the file that its
    licence is at the head of; empty where the wheel has a file for it. ``bundled``: the
    component that brings it, and its version; nothing for a package of its own.
    """

    name: str
    licence: str
    copyright: str
    files: tuple[str, ...]
    text: str = ""
    bundled: tuple[str, str] | None = None

    @property
    def version(self) -> str:
        return self.bundled[1] if self.bundled else pinned()[self.name][0]

    @property
    def licence_file(self) -> str:
        """Path of the licence's text in _vendor, its copyright notice included."""
        return f"licenses/{self.name.replace('-', '_')}-{self.version}.txt"

    def owns(self, path: str) -> bool:
        """Whether a path in _vendor is a file of this component, licence and notice included."""
        stem = self.licence_file.removesuffix(".txt")
        return path in {self.licence_file, f"{stem}-notice.txt"} or any(
            path == mine or (mine.endswith("/") and path.startswith(mine)) for mine in self.files
        )


# The first that owns a file counts: what is bundled stands before what bundles it.
COMPONENTS = (
    Component(
        "decorator",
        "BSD-2-Clause",
        "2005-2016 Michele Simionato",
        ("prometheus_client/decorator.py",),
        text="prometheus_client/decorator.py",
        bundled=("prometheus-client", "4.0.10"),
    ),
    Component(
        "h11",
        "MIT",
        "2016 Nathaniel J. Smith and other contributors",
        ("h11/",),
    ),
    Component(
        "nvidia-ml-py",
        "BSD-3-Clause",
        "2011-2025 NVIDIA Corporation",
        ("pynvml.py",),
        text="pynvml.py",
    ),
    Component(
        "prometheus-client",
        "Apache-2.0",
        "2015 The Prometheus Authors",
        ("prometheus_client/",),
    ),
)


def pinned() -> dict[str, tuple[str, str]]:
    """Version and SHA-256 of the wheel of each package in meta/vendored.txt."""
    found = REQUIREMENT.findall(REQUIREMENTS.read_text())
    return {name: (version, hashes.rsplit(":", 1)[1]) for name, version, hashes in found}


def owner(path: str) -> Component | None:
    """The component whose file ``path`` (in _vendor) is; nothing where it is ours."""
    found = [
        component for component in COMPONENTS if component.owns(PurePosixPath(path).as_posix())
    ]
    return found[0] if found else None


def licence_at_head(source: str) -> str:
    """The licence that a Python file carries in the comment at its head, as plain text.

    Raises ValueError where that is no licence of the BSD kind.
    """
    lines = []
    for line in source.splitlines():
        if line and not line.startswith("#"):
            break
        if re.fullmatch(r"#[# ]*(LICENSE[# ]*)?", line):
            line = ""
        lines.append(line.removeprefix("#").removeprefix(" "))
        if line.endswith("DAMAGE."):
            return "\n".join(lines).strip("\n") + "\n"
    raise ValueError("no BSD licence at the head of the file")
