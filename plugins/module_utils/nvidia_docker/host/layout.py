# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs, units and shared files a host gets, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .owned_file import Link
from .release import PACKAGE

SERVICE = "nvidia-docker-plugin.service"
HELPERS = ("nvidia-docker-volume-maker", "nvidia-docker-image-reader")
SOCKETS = (*(f"{name}.socket" for name in HELPERS), "nvidia-docker-plugin.socket")
"""Units that hold the service's sockets; they have to be there before it."""
LINK_UNITS = ("nvidia-docker-device-links.path", "nvidia-docker-device-links.service")
"""Link device nodes that are made while the service runs."""
UNITS = (*SOCKETS, SERVICE, *(f"{name}@.service" for name in HELPERS), *LINK_UNITS)
CDI_UNITS = (
    "nvidia-docker-cdi.service",
    "nvidia-docker-cdi-nodes.service",
    "nvidia-docker-cdi.path",
    "nvidia-docker-cdi.timer",
)
"""Keep a CDI specification true; not the plugin's, a host may have either without the other."""
USER = "nvidia-docker"
"""Runs the plugin (v1's name)."""
PROGRAMS = {
    "nvidia-docker": ("cli.main", "main", "sys.argv"),
    "nvidia-docker-plugin": ("plugin.main", "main", "sys.argv[1:]"),
    "nvidia-docker-volume-maker": ("plugin.helpers", "make_volume", "sys.argv[1:]"),
    "nvidia-docker-image-reader": ("plugin.helpers", "read_image", "sys.argv[1:]"),
    "nvidia-docker-device-links": ("plugin.device_links", "main", "sys.argv[1:]"),
    "nvidia-docker-cdi": ("cdi.main", "main", "sys.argv[1:]"),
}
"""Name of a program; module of the package and function that it runs, and what that is given."""
SHARED = (
    "man/man1/nvidia-docker.1",
    "man/man8/nvidia-docker-plugin.8",
    "man/man8/nvidia-docker-cdi.8",
    "bash-completion/completions/nvidia-docker",
    "bash-completion/completions/nvidia-docker-cdi",
    "zsh/site-functions/_nvidia-docker",
    "zsh/site-functions/_nvidia-docker-cdi",
    "fish/completions/nvidia-docker.fish",
    "fish/completions/nvidia-docker-cdi.fish",
)
"""Files below ``share`` in a release, which lie there as man and the shells look for them: below
``/usr/local/share``, but fish below ``/etc``."""


@dataclass(frozen=True)
class Layout:
    """Where things lie on a host, below ``root``."""

    root: Path = Path("/")
    prefix: str = "usr/local"
    """Below ``root``."""
    staged: bool = False
    """``root`` is not there when the programs run, as in a package that is being built."""

    def at_run(self, path: Path) -> str:
        """Return where the programs will see a path of this layout."""
        return str(Path("/") / path.relative_to(self.root)) if self.staged else str(path)

    @property
    def library(self) -> Path:
        return self.root / self.prefix / "lib/nvidia-docker"

    @property
    def releases(self) -> Path:
        return self.library / "releases"

    @property
    def current(self) -> Path:
        return self.library / "current"

    @property
    def installation(self) -> Path:
        return self.library / "installation.json"

    @property
    def units(self) -> tuple[Path, ...]:
        return tuple(self.root / "etc/systemd/system" / name for name in UNITS)

    @property
    def cdi_units(self) -> tuple[Path, ...]:
        return tuple(self.root / "etc/systemd/system" / name for name in CDI_UNITS)

    @property
    def user(self) -> Path:
        """sysusers.d(5): how the plugin's user is made."""
        return self.root / f"etc/sysusers.d/{USER}.conf"

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.launchers, *self.units, self.user)

    @property
    def links(self) -> tuple[Link, ...]:
        """Where man and the shells look, to the current release."""
        share, source = self.root / self.prefix / "share", self.current / PACKAGE / "share"
        # fish looks into /usr/local/share only if XDG_DATA_DIRS says so, which SSH sessions lack.
        bases = {name: self.root / "etc" if name.startswith("fish/") else share for name in SHARED}
        return tuple(Link(bases[name] / name, self.at_run(source / name)) for name in SHARED)

    @property
    def launchers(self) -> tuple[Path, ...]:
        return tuple(self.root / self.prefix / "bin" / name for name in PROGRAMS)
