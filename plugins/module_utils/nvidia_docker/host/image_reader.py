# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the engine knows of an image, for a plugin that has no access to the engine.

Who has can do everything, so the plugin asks the helper nvidia-docker-image-reader, which tells the
labels and the environment of an image and does nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import DockerError, InvalidInput
from ..requirement import Image
from .docker import Docker
from .helper import Helper

PROGRAM = "nvidia-docker-image-reader"
_TIMEOUT_S = 30
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}")


class ImageReader(Protocol):
    """Looks at images of this host's engine."""

    def image(self, reference: str) -> Image | None:
        """Return an image, or None if the engine does not have it.

        Raises InvalidInput for what can be no reference, DockerError if the engine can't be asked.
        """


class LocalImageReader:
    """This process asks the engine."""

    def image(self, reference: str) -> Image | None:
        if not _REFERENCE.fullmatch(reference):
            raise InvalidInput(f"invalid image reference {reference[:80]!r}")
        return Docker().image(reference)


class RemoteImageReader:
    """The helper behind a unix socket asks the engine."""

    def __init__(self, path: Path) -> None:
        self._helper = Helper(path, PROGRAM, DockerError, _TIMEOUT_S)

    def image(self, reference: str) -> Image | None:
        if not _REFERENCE.fullmatch(reference):
            raise InvalidInput(f"invalid image reference {reference[:80]!r}")
        found = self._helper.ask({"image": reference}).get("image")
        return Image(reference, found["labels"], found["environment"]) if found else None


def act(reader: ImageReader, request: Mapping[str, Any]) -> dict[str, object]:
    """Return the answer's members for the helper. Raises NvidiaDockerError."""
    reference = request.get("image")
    if not isinstance(reference, str):
        raise InvalidInput(f"can't look at image {reference!r}: name one")
    found = reader.image(reference)
    if found is None:
        return {"image": None}
    return {"image": {"labels": dict(found.labels), "environment": dict(found.environment)}}
