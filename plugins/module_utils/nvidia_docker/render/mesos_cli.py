# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""v1's options for a Mesos agent, ``/mesos/cli``: its GPUs as a resource, and what they are."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode

from ..model import DeviceDetails, Host
from . import go_json, gpu_info


def line(host: Host, details: tuple[DeviceDetails, ...]) -> str:
    """Return the options on one line. The attribute is ``/gpu/info/json``, packed: zlib
    (RFC 1950), then base64 for URLs without padding."""
    body = go_json.dumps(gpu_info.document(host, details)).encode()
    packed = urlsafe_b64encode(zlib.compress(body)).decode().rstrip("=")
    uuids = ",".join(device.uuid for device in host.devices)
    return f"--attributes=gpus:{packed} --resources=gpus:{{{uuids}}}"
