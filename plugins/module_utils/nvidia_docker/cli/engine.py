# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine docker will talk to, and so whose GPUs a container gets.

Found by docker's own rules from options, environment and the files of its contexts, without
asking docker. Source of the rules: the clients 20.10 and 28, which differ in one case only.
"""

from __future__ import annotations

import os

from ..errors import InvalidInput
from . import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .address import Endpoint

_DEFAULT = "default"
"""The context that is none: DOCKER_HOST, else the socket of this machine."""


def check(environ: Mapping[str, str], options: Mapping[str, str]) -> tuple[str, ...]:
    """Look at NV_HOST and DOCKER_HOST as v1 did before every command, and return warnings.

    ``options`` are docker's global options by long name. Raises InvalidInput for a value that is no
    address, where it counts: docker itself could do next to nothing then.
    """
    nv_host, docker_host = environ.get("NV_HOST", ""), environ.get("DOCKER_HOST", "")
    if nv_host:
        address.from_nv_host(nv_host)
        try:
            is_named = bool(_engine(environ, options)[0])
        except InvalidInput:
            # There is one, and docker says itself what is wrong with it.
            is_named = True
        return () if is_named else ("NV_HOST is set but DOCKER_HOST is not",)
    if docker_host and "host" not in options and not options.get("context"):
        address.from_docker_host(docker_host, "DOCKER_HOST")
        if ":" not in docker_host:
            # docker takes a name alone for tcp:// and port 2375; v1 refused it, as it does here.
            raise InvalidInput(
                f"invalid remote host URI in DOCKER_HOST: {docker_host!r}; "
                f"write tcp://{docker_host}:2375"
            )
    return ()


def plugin(environ: Mapping[str, str], options: Mapping[str, str]) -> Endpoint | None:
    """Return the plugin to ask for GPUs; None: they are this machine's.

    NV_HOST, else that of the machine on which docker's engine is. A unix socket is this machine's.
    Raises InvalidInput if that can't be known: GPUs of the wrong machine would be a guess.
    """
    nv_host = environ.get("NV_HOST", "")
    if nv_host:
        return address.from_nv_host(nv_host)
    return address.from_docker_host(*_engine(environ, options))


def _engine(environ: Mapping[str, str], options: Mapping[str, str]) -> tuple[str, str]:
    """Return docker's address of the engine, empty for the default socket, and where it is from."""
    if "host" in options:
        return options["host"], "--host"
    docker_host, asked = environ.get("DOCKER_HOST", ""), options.get("context", "")
    if docker_host and asked in ("", _DEFAULT):
        return docker_host, "DOCKER_HOST"
    folder = _config_folder(environ, options)
    name = asked or environ.get("DOCKER_CONTEXT", "") or _current_context(folder)
    if name in ("", _DEFAULT):
        return "", "the default context"
    host = _context_host(folder, name)
    if "DOCKER_HOST" in environ and not asked and address.from_docker_host(host, f"context {name}"):
        raise InvalidInput(
            f"DOCKER_HOST is set to nothing: docker before 23.0 takes the engine of this machine "
            f"then, docker since 23.0 that of context {name}; unset DOCKER_HOST or give it a value"
        )
    return host, f"context {name}"


def _config_folder(environ: Mapping[str, str], options: Mapping[str, str]) -> str:
    folder = options.get("config") or environ.get("DOCKER_CONFIG")
    if folder:
        return folder
    home = environ.get("HOME")
    if not home:
        import pwd

        home = pwd.getpwuid(os.getuid()).pw_dir
    return f"{home}/.docker"


def _current_context(folder: str) -> str:
    """Return what ``docker context use`` has written.

    For a file that it can't read docker warns, and goes on as if it were empty.
    """
    import json

    try:
        with open(f"{folder}/config.json", encoding="utf-8", errors="replace") as file:
            config = json.load(file)
    except (OSError, ValueError, RecursionError):
        return ""
    # Go takes keys in any case.
    keys = {key.lower(): value for key, value in config.items()} if isinstance(config, dict) else {}
    name = keys.get("currentcontext")
    return name if isinstance(name, str) else ""


def _context_host(folder: str, name: str) -> str:
    """Return the address of a context's engine, empty for the default socket."""
    import json
    from hashlib import sha256

    directory = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    path = f"{folder}/contexts/meta/{directory}/meta.json"
    try:
        with open(path, encoding="utf-8") as file:
            host = json.load(file)["Endpoints"]["docker"].get("Host", "")
        if not isinstance(host, str):
            raise TypeError("its host is no text")
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        reason = "it names no engine"
    else:
        return host
    raise InvalidInput(
        f"docker context {name!r} can't be read, so its machine is not known: {path}: {reason}; "
        "'docker context ls' lists those that there are"
    )
