# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker's legacy volume driver protocol: POST on the unix socket.

A failure of the driver is answered with status 200 and its reason in ``Err``, which Docker shows
to the user.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable

from ..errors import (
    DriverUnavailable,
    DriverVolumeError,
    InvalidInput,
    NvidiaDockerError,
    UnknownVolume,
)
from ..host import driver_volume, volume_store
from ..injection import STABLE_NAME, VolumeName
from ..render import go_json
from .api import Api, Handler, Request, Response, sentence
from .state import State

CONTENT_TYPE = "application/vnd.docker.plugins.v1+json"
ACCEPTED = (
    "application/vnd.docker.plugins.v1.1+json",
    "application/vnd.docker.plugins.v1.2+json",
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One call of the protocol."""

    answer: Callable[[Request, State], dict[str, object]]
    empty: tuple[str, ...] = ()
    """Members that are null beside ``Err`` when it fails."""


def refuse(request: Request) -> Response | None:
    """Two versions of the protocol are spoken; this is looked at before the path, as in v1."""
    accept = request.header("accept")
    if accept in ACCEPTED:
        return None
    logger.info("Unsupported plugin API %r", accept)
    return Response(406, b"", None)


def failure(request: Request, error: Exception) -> Response:
    """Answer with the reason in ``Err``, in the shape of the call."""
    if isinstance(error, InvalidInput):
        status = 400
    else:
        status = 200 if isinstance(error, NvidiaDockerError) else 500
    members = dict.fromkeys(CALLS[request.path].empty)
    return _response(status, {**members, "Err": sentence(error)})


def activate(request: Request, state: State) -> dict[str, object]:
    """Docker asks once what this plugin is."""
    logger.info("Received activate request")
    logger.info("Plugins activated [VolumeDriver]")
    return {"Implements": ["VolumeDriver"]}


def create(request: Request, state: State) -> dict[str, object]:
    """Make the driver volume of the loaded driver; another version has no files to make it from."""
    name = _name(request, "create")
    loaded = state.loaded_version()
    if name.version not in (None, loaded):
        raise DriverVolumeError(f"invalid volume version: {name}")
    _make(state, loaded)
    return {"Err": None}


def remove(request: Request, state: State) -> dict[str, object]:
    """A volume that does not exist is removed already, and the stable name has none of its own."""
    name = _name(request, "remove")
    if name.version is not None and volume_store.exists(state.volumes, name.version):
        state.maker.remove(name.version)
    return {"Err": None}


def mount(request: Request, state: State) -> dict[str, object]:
    """Give the loaded driver's volume, whole: with another driver's files CUDA fails, and says
    less."""
    name = _name(request, "mount")
    if name.version is not None:
        volume_store.mount_point(state.volumes, name.version)
    loaded = state.loaded_version()
    if name.version not in (None, loaded):
        raise DriverVolumeError(
            f"volume {name} does not fit the loaded driver {loaded}: "
            f"make the container anew, with {VolumeName(loaded)} or {STABLE_NAME}"
        )
    return {"Mountpoint": _ready(state, loaded), "Err": None}


def path(request: Request, state: State) -> dict[str, object]:
    """Where the volume is, whatever driver is loaded."""
    return {"Mountpoint": _where(state, _name(request, "mount")), "Err": None}


def unmount(request: Request, state: State) -> dict[str, object]:
    """Nothing is mounted, so there is nothing to undo."""
    _name(request, "unmount")
    return {"Err": None}


def get(request: Request, state: State) -> dict[str, object]:
    """One volume by its name. The stable name always has one: Mount makes what is missing."""
    name = _name(request)
    try:
        return {"Volume": _volume(state, name), "Err": None}
    except (UnknownVolume, DriverUnavailable):
        if name != STABLE_NAME:
            raise
        return {"Volume": {"Name": str(name)}, "Err": None}


def list_volumes(request: Request, state: State) -> dict[str, object]:
    """All volumes, the stable name too if it leads to one; v1 says null when there are none."""
    volumes = []
    for name in (STABLE_NAME, *map(VolumeName, volume_store.list_volumes(state.volumes))):
        # It may have been removed since.
        with suppress(UnknownVolume, DriverUnavailable):
            volumes.append(_volume(state, name))
    return {"Volumes": volumes or None, "Err": None}


def capabilities(request: Request, state: State) -> dict[str, object]:
    """Volumes belong to this machine."""
    return {"Capabilities": {"Scope": "local"}}


CALLS = {
    "/Plugin.Activate": Call(activate),
    "/VolumeDriver.Create": Call(create),
    "/VolumeDriver.Remove": Call(remove),
    "/VolumeDriver.Mount": Call(mount, ("Mountpoint",)),
    "/VolumeDriver.Path": Call(path, ("Mountpoint",)),
    "/VolumeDriver.Unmount": Call(unmount),
    "/VolumeDriver.Get": Call(get, ("Volume",)),
    "/VolumeDriver.List": Call(list_volumes, ("Volumes",)),
    "/VolumeDriver.Capabilities": Call(capabilities),
}


def _handler(call: Call) -> Handler:
    return lambda request, state: _response(200, call.answer(request, state))


API = Api(
    routes={("POST", path): _handler(call) for path, call in CALLS.items()},
    refuse=refuse,
    failure=failure,
)


def _response(status: int, answer: dict[str, object]) -> Response:
    return Response.of(status, go_json.dumps(answer), CONTENT_TYPE)


def _volume(state: State, name: VolumeName) -> dict[str, object]:
    return {"Name": str(name), "Mountpoint": _where(state, name)}


def _where(state: State, name: VolumeName) -> str:
    version = state.loaded_version() if name.version is None else name.version
    return str(volume_store.mount_point(state.volumes, version))


def _make(state: State, version: str) -> None:
    for warning in state.maker.make(version):
        logger.warning("Warning: %s", warning)


def _ready(state: State, version: str) -> str:
    """Return the directory of a volume that is right, made (again) if it was not."""
    try:
        reasons = driver_volume.unfit(state.volumes, version)
    except UnknownVolume as error:
        reasons = (str(error),)
    if reasons:
        logger.info("Making %s: %s", VolumeName(version), "; ".join(reasons))
        _make(state, version)
        reasons = driver_volume.unfit(state.volumes, version)
    if reasons:
        raise DriverVolumeError(f"volume {VolumeName(version)} is damaged: {'; '.join(reasons)}")
    return str(volume_store.mount_point(state.volumes, version))


def _name(request: Request, action: str | None = None) -> VolumeName:
    text = _name_text(request.body)
    if action is not None:
        logger.info("Received %s request for volume %r", action, text)
    return VolumeName.parse(text)


def _name_text(body: bytes) -> str:
    """Return the member ``Name`` as Go's decoder reads it: its case does not matter, null is empty,
    what follows the first value is ignored."""
    try:
        value, _dummy = json.JSONDecoder().raw_decode(
            body.decode(errors="replace").lstrip(" \t\r\n")
        )
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the request is no JSON object with a Name: {error}") from error
    members = {} if value is None else value
    if not isinstance(members, dict):
        raise InvalidInput("the request is no JSON object with a Name")
    name = ""
    for key, given in members.items():
        if key.lower() == "name" and given is not None:
            name = given
    if not isinstance(name, str):
        raise InvalidInput(f"Name must be a text, not {name!r}")
    return name
