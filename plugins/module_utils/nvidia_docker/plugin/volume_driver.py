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

from ..errors import DriverVolumeError, InvalidInput, NvidiaDockerError, UnknownVolume
from ..host import driver_volume
from ..injection import VolumeName
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
    if name.version != state.loaded_version(expected=name.version):
        raise DriverVolumeError(f"invalid volume version: {name}")
    made = driver_volume.create(state.volumes, name.version, state.driver_root)
    for warning in made.warnings:
        logger.warning("Warning: %s", warning)
    return {"Err": None}


def remove(request: Request, state: State) -> dict[str, object]:
    """A volume that does not exist is removed already."""
    driver_volume.remove(state.volumes, _name(request, "remove"))
    return {"Err": None}


def mount(request: Request, state: State) -> dict[str, object]:
    """Nothing is done but checking: with another driver's files CUDA fails, and says less."""
    name = _name(request, "mount")
    path = driver_volume.mount_point(state.volumes, name)
    loaded = state.loaded_version(expected=name.version)
    if name.version != loaded:
        raise DriverVolumeError(
            f"volume {name} does not fit the loaded driver {loaded}: "
            f"make the container anew, with {VolumeName(loaded)}"
        )
    return {"Mountpoint": str(path), "Err": None}


def path(request: Request, state: State) -> dict[str, object]:
    """Where the volume is, whatever driver is loaded."""
    name = _name(request, "mount")
    return {"Mountpoint": str(driver_volume.mount_point(state.volumes, name)), "Err": None}


def unmount(request: Request, state: State) -> dict[str, object]:
    """Nothing is mounted, so there is nothing to undo."""
    _name(request, "unmount")
    return {"Err": None}


def get(request: Request, state: State) -> dict[str, object]:
    """One volume by its name."""
    return {"Volume": _volume(state, _name(request)), "Err": None}


def list_volumes(request: Request, state: State) -> dict[str, object]:
    """All volumes; v1 says null when there are none."""
    volumes = []
    for name in driver_volume.list_volumes(state.volumes):
        # It may have been removed since.
        with suppress(UnknownVolume):
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
    return {"Name": str(name), "Mountpoint": str(driver_volume.mount_point(state.volumes, name))}


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
