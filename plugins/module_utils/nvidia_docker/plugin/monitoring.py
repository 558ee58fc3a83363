# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What monitoring systems ask for: ``/metrics`` and ``/healthz``. v1 had neither."""

from __future__ import annotations

import socket

from .. import __version__
from ..errors import DriverUnavailable, NvidiaDockerError
from ..model import DeviceStatus
from ..render import metrics
from .api import Handler, Request, Response
from .state import Part, Picture, State


def _metrics(_request: Request, state: State) -> Response:
    """``/metrics``. A scraper takes any other status for a plugin that is down, and forgets why:
    a driver that does not answer is a value like others."""
    try:
        return state.page(Part.STATUS, _answered, once=True)
    except DriverUnavailable:
        return _response(metrics.silent(_plugin(state.last_picture())))


def _answered(seen: Picture) -> Response:
    statuses: tuple[DeviceStatus, ...] | None
    try:
        statuses = seen.statuses
    except NvidiaDockerError:
        statuses = None
    return _response(metrics.answered(_plugin(seen), seen.host, statuses))


def _plugin(seen: Picture | None) -> metrics.Plugin:
    return metrics.Plugin(
        host_name=socket.gethostname(),
        version=__version__,
        sweep_began=seen.began if seen else None,
        sweep_took_s=seen.took_s if seen else None,
    )


def _response(body: bytes) -> Response:
    return Response(200, body, metrics.CONTENT_TYPE)


def _healthz(_request: Request, state: State) -> Response:
    """``/healthz``: 503 with the reason if there is a driver that does not answer. Never waits."""
    try:
        seen = state.glance()
    except DriverUnavailable as error:
        return Response.of(503, f"{error}\n")
    driver = seen.host.driver if seen else None
    if seen and driver and driver.version is None and driver.module_version is not None:
        return Response.of(503, f"{seen.host.reason}\n")
    return Response.of(200, "ok\n")


HANDLERS: dict[str, Handler] = {"/metrics": _metrics, "/healthz": _healthz}
