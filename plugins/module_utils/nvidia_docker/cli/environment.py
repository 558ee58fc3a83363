# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user's variables ask for: NV_GPU, NV_DOCKER, NV_HOST, NV_DEBUG, DOCKER_HOST."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .remote import Endpoint

_LOCAL = "unix://"


class Settings:
    """``docker``: the docker client and the words before every argument. ``gpus``: identifiers for
    selection.select, empty for all. ``remote``: whose GPUs; None for this machine's."""

    __slots__ = ("docker", "gpus", "remote", "warnings")

    def __init__(
        self,
        docker: tuple[str, ...],
        gpus: tuple[str, ...],
        remote: Endpoint | None,
        warnings: tuple[str, ...],
    ) -> None:
        self.docker = docker
        self.gpus = gpus
        self.remote = remote
        self.warnings = warnings


def read(environ: Mapping[str, str]) -> Settings:
    """Return the settings. Raises InvalidInput for an NV_HOST or DOCKER_HOST that is no address."""
    nv_host, docker_host = environ.get("NV_HOST", ""), environ.get("DOCKER_HOST", "")
    alone = nv_host and not docker_host
    return Settings(
        docker=tuple(environ.get("NV_DOCKER", "").split()) or ("docker",),
        gpus=tuple(item for item in environ.get("NV_GPU", "").replace(",", " ").split(" ") if item),
        remote=_remote(nv_host, docker_host),
        warnings=("NV_HOST is set but DOCKER_HOST is not",) if alone else (),
    )


def _remote(nv_host: str, docker_host: str) -> Endpoint | None:
    uri = nv_host or docker_host
    if not uri or uri.startswith(_LOCAL):
        return None
    from . import remote

    return remote.from_nv_host(uri) if nv_host else remote.from_docker_host(uri)
