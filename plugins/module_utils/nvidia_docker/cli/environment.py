# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user's variables ask for: NV_GPU and NV_DOCKER.

Where the GPUs are (NV_HOST, DOCKER_HOST, contexts) is in engine.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings:
    """``docker``: the docker client and the words before every argument. ``gpus``: the items of
    NV_GPU."""

    __slots__ = ("docker", "gpus")

    def __init__(self, docker: tuple[str, ...], gpus: tuple[str, ...]) -> None:
        self.docker = docker
        self.gpus = gpus

    @property
    def docker_options(self) -> tuple[str, ...]:
        """The words of NV_DOCKER after docker itself, which may follow a ``sudo``."""
        programs = [word.rpartition("/")[2] for word in self.docker]
        start = programs.index("docker") if "docker" in programs else 0
        return self.docker[start + 1 :]


def read(environ: Mapping[str, str]) -> Settings:
    """Return the settings. NV_GPU is split at blanks and commas, NV_DOCKER at white space."""
    return Settings(
        docker=tuple(environ.get("NV_DOCKER", "").split()) or ("docker",),
        gpus=_gpus(environ.get("NV_GPU", "")),
    )


def _gpus(text: str) -> tuple[str, ...]:
    """Return the identifiers in NV_GPU, signed indexes as v1's number parser took them."""
    items = [item for item in text.replace(",", " ").split(" ") if item]
    return tuple(item[1:] if _is_signed_index(item) else item for item in items)


def _is_signed_index(item: str) -> bool:
    digits = item[1:]
    if not (digits.isascii() and digits.isdigit()):
        return False
    return item[0] == "+" or (item[0] == "-" and not digits.strip("0"))
