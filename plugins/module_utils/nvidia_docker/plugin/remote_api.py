# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""v1's REST API: GET on TCP, for the command on other machines, schedulers and monitoring."""

from __future__ import annotations

import argparse
import posixpath
import re
from collections.abc import Collection
from html import escape
from ipaddress import ip_address
from typing import Callable
from urllib.parse import quote, unquote_plus

from .. import requirement
from ..errors import (
    DockerError,
    DriverUnavailable,
    InvalidInput,
    MissingDeviceNode,
    UnknownDevice,
    UnknownImage,
    UnmetRequirement,
)
from ..host.discovery import require_driver
from ..host.image_reader import ImageReader
from ..injection import VOLUME_KIND, Injection, VolumeName, plan
from ..model import Host
from ..render import docker_cli, go_json, gpu_info, gpu_info_text, gpu_status, mesos_cli
from ..selection import ALL, Selected, select
from . import monitoring
from .api import Api, Handler, Request, Response, sentence
from .state import Part, Picture, State

JSON = "application/json"

_EVERYTHING = ("", "*")
_INDEX = re.compile(r"\+?0*([0-9]{1,9})|-0+")
"""As v1's number parser took them: 1, 01, +1, and -0 for 0."""
_UUID = re.compile(r"(GPU|MIG)-.*|[0-9]{1,9}:[0-9]{1,9}")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_STATUS = {
    InvalidInput: 400,
    UnknownImage: 404,
    UnmetRequirement: 409,
    DockerError: 503,
    DriverUnavailable: 503,
    MissingDeviceNode: 503,
}


def api(host_names: Collection[str]) -> Api:
    """Return the REST API; ``host_names`` are the names of this machine in lower case."""
    allowed = {"localhost", "plugin", *host_names}

    def refuse(request: Request) -> Response | None:
        return _refuse_foreign_host(request.header("host"), allowed) or _redirect(request)

    return Api(routes=ROUTES, refuse=refuse, failure=failure)


def host_name(text: str) -> str:
    """Return a host name of the command line in lower case."""
    name = text.lower()
    if len(name) > 253 or not _HOST_NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no host name: write it without port, such as gpu7.example.org"
        )
    return name


def failure(request: Request, error: Exception) -> Response:
    """Answer with the reason as text, and the status that fits."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return Response.of(status, sentence(error) + "\n")


def _docker_cli_text(injection: Injection) -> Response:
    """``/docker/cli``: the options for ``docker run`` on one line."""
    return Response.of(200, " ".join(docker_cli.rest_arguments(injection)))


def _docker_cli_json(injection: Injection) -> Response:
    """``/docker/cli/json``: the same as an object."""
    return _json(docker_cli.rest_json(injection))


def _selected(build: Callable[[Injection], Response]) -> Handler:
    """A handler whose answer follows from the query too; without one it is a page."""

    def everything(seen: Picture) -> Response:
        return build(_injection(seen.host, select(seen.host, [ALL])))

    def handler(request: Request, state: State) -> Response:
        if not request.query:
            return state.page(Part.HOST, everything)
        parameters, host = _parameters(request.query), state.host()
        require_driver(host)
        devices = _devices(host, parameters["dev"])
        _check_volumes(parameters["vol"])
        if parameters["image"]:
            _check_image(state.images, parameters["image"], host, devices)
        return build(_injection(host, devices))

    return handler


def _gpu_info_text(seen: Picture) -> Response:
    """``/gpu/info``: what does not change of each GPU."""
    return Response.of(200, gpu_info_text.text(seen.host, seen.details))


def _gpu_info_json(seen: Picture) -> Response:
    """``/gpu/info/json``: the same as an object."""
    return _json(gpu_info.document(seen.host, seen.details))


def _gpu_status_text(seen: Picture) -> Response:
    """``/gpu/status``: what each GPU does now."""
    return Response.of(200, gpu_status.text(seen.host, seen.statuses))


def _gpu_status_json(seen: Picture) -> Response:
    """``/gpu/status/json``: the same as an object."""
    return _json(gpu_status.document(seen.statuses))


def _mesos_cli(seen: Picture) -> Response:
    """``/mesos/cli``: the options for a Mesos agent on one line."""
    return Response.of(200, mesos_cli.line(seen.host, seen.details))


def _page(part: Part, build: Callable[[Picture], Response]) -> Handler:
    """A handler whose answer follows from the picture alone: v1 ignores the query here."""
    return lambda request, state: state.page(part, build)


_HANDLERS: dict[str, Handler] = {
    "/docker/cli": _selected(_docker_cli_text),
    "/docker/cli/json": _selected(_docker_cli_json),
    "/gpu/info": _page(Part.DETAILS, _gpu_info_text),
    "/gpu/info/json": _page(Part.DETAILS, _gpu_info_json),
    "/gpu/status": _page(Part.STATUS, _gpu_status_text),
    "/gpu/status/json": _page(Part.STATUS, _gpu_status_json),
    "/mesos/cli": _page(Part.DETAILS, _mesos_cli),
}
ROUTES = {
    ("GET", prefix + path): handler
    for prefix in ("", "/v1.0")
    for path, handler in _HANDLERS.items()
} | {("GET", path): handler for path, handler in monitoring.HANDLERS.items()}
"""v1's paths have two names each; newer ones have one."""


def _json(value: object) -> Response:
    return Response.of(200, go_json.dumps(value), JSON)


def _injection(host: Host, devices: tuple[Selected, ...]) -> Injection:
    return plan(host, devices, VolumeName(require_driver(host)))


def _parameters(query: str) -> dict[str, str]:
    """Return ``dev``, ``vol`` and ``image``, empty when absent.

    v1 took what it could not read for absent, which means all GPUs; here it is refused.
    """
    values: dict[str, list[str]] = {"dev": [], "vol": [], "image": []}
    for part in filter(None, query.split("&")):
        name, value = (_decoded(half, part) for half in part.partition("=")[::2])
        if name not in values:
            raise InvalidInput(f"unknown query parameter {name!r}: dev, vol and image are known")
        values[name].append(value)
    if len(values["image"]) > 1:
        raise InvalidInput("query parameter image is given twice")
    for name, given in values.items():
        if given and given[0] in _EVERYTHING and any(v not in _EVERYTHING for v in given):
            raise InvalidInput(f"query parameter {name} is given twice, first for everything")
    return {name: given[0] if given else "" for name, given in values.items()}


def _decoded(text: str, part: str) -> str:
    try:
        if _BAD_ESCAPE.search(text):
            raise ValueError(text)
        return unquote_plus(text, errors="strict")
    except ValueError as error:
        raise InvalidInput(
            f"query part {part!r} can't be decoded: write %25 for a percent sign, and UTF-8"
        ) from error


def _devices(host: Host, value: str) -> tuple[Selected, ...]:
    """v1's grammar: indices and UUID prefixes split at single blanks, or everything."""
    if value in _EVERYTHING:
        return select(host, [ALL])
    identifiers = []
    for item in value.split(" "):
        index = _INDEX.fullmatch(item)
        if index is None and not _UUID.fullmatch(item):
            raise InvalidInput(f"invalid device: {item}")
        identifier = item if index is None else index[1] or "0"
        try:
            select(host, [identifier])
        except UnknownDevice as error:
            raise InvalidInput(f"invalid device: {item}") from error
        identifiers.append(identifier)
    return select(host, identifiers)


def _check_volumes(value: str) -> None:
    """Everything is the driver volume; nothing else can be asked for."""
    if value in _EVERYTHING:
        return
    for item in value.split(" "):
        if item != VOLUME_KIND:
            raise InvalidInput(f"invalid volume: {item}")


def _check_image(
    images: ImageReader, reference: str, host: Host, devices: tuple[Selected, ...]
) -> None:
    """Raise UnmetRequirement with the command's sentence if these GPUs can't serve the image."""
    image = images.image(reference)
    if image is None:
        raise UnknownImage(f"image {reference} is not on this host: pull it first")
    requirement.check(image, host, devices)


def _refuse_foreign_host(header: str, allowed: Collection[str]) -> Response | None:
    """A browser that was lured to a name which resolves to this machine sends that name."""
    name = re.sub(r":[0-9]*$", "", header).lower()
    if name in allowed or _is_ip_address(name):
        return None
    return Response.of(
        403,
        f"host {header[:300]!r} is not served: use an IP address, localhost, this machine's name, "
        "or one that the plugin was given with --allowed-host\n",
    )


def _redirect(request: Request) -> Response | None:
    """As v1, send who asks for ``//gpu/info`` or ``/gpu/../gpu/info`` to the plain path."""
    if not request.path.startswith("/"):
        return None
    clean = "/" + posixpath.normpath(request.path).lstrip("/")
    if request.path.endswith("/") and clean != "/":
        clean += "/"
    if clean == request.path or request.method not in ("GET", "HEAD"):
        return None
    location = quote(clean) + (f"?{request.query}" if request.query else "")
    body = f'<a href="{escape(location)}">Moved Permanently</a>.\n\n'
    return Response(301, body.encode(), "text/html; charset=utf-8", location)


def _is_ip_address(name: str) -> bool:
    try:
        ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True
