# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the docker client, or becomes it."""

from __future__ import annotations

from ..errors import DockerError, InvalidReference
from . import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..requirement import Image

_INVALID = "invalid reference"


class Docker:
    """A docker client: the program and the words that go before every argument.

    ``("docker",)``, ``("sudo", "docker", "--context", "lab")``.
    """

    __slots__ = ("command",)

    def __init__(self, command: tuple[str, ...] = ("docker",)) -> None:
        self.command = command

    def ask_image(self, reference: str) -> ImageQuery:
        """Start asking the engine for an image; other work can be done until it answers.

        Raises DockerError if there is no docker client.
        """
        query = ("image", "inspect", "--format", "{{json .Config}}", "--", reference)
        return ImageQuery(reference, self._start(query))

    def image(self, reference: str) -> Image | None:
        """Return what the engine knows of an image, or None if it does not have it.

        Raises DockerError if there is no docker client or no engine, or ``reference`` is none.
        """
        return self.ask_image(reference).answer()

    def pull(self, reference: str, options: Sequence[str] = ()) -> None:
        """Pull an image, with the progress on standard error so that standard output stays the
        user's own. Raises InvalidReference or DockerError with docker's message."""
        status, _dummy, errors = self._start(("pull", *options, "--", reference), output=2).wait()
        if status != 0:
            raise _refused(_message(errors) or f"docker pull {reference} failed: status {status}")

    def output(self, arguments: Sequence[str]) -> str:
        """Return what docker prints. Raises DockerError if it can't be started or fails."""
        status, output, errors = self._start(arguments).wait()
        if status != 0:
            raise DockerError(
                _message(errors) or f"docker {' '.join(arguments)} failed: status {status}"
            )
        return output

    def exec(self, arguments: Sequence[str]) -> NoReturn:
        """Become docker. Raises DockerError if there is no docker client."""
        try:
            process.replace((*self.command, *arguments))
        except OSError as error:
            raise self._not_started(error) from None

    def _start(self, arguments: Sequence[str], output: int | None = None) -> process.Process:
        try:
            return process.start((*self.command, *arguments), output)
        except OSError as error:
            raise self._not_started(error) from None

    def _not_started(self, error: OSError) -> DockerError:
        return DockerError(
            f"can't start the docker client {self.command[0]!r}: {error.strerror}; "
            "install it, or name it in NV_DOCKER"
        )


class ImageQuery:
    """A question to the engine that is on its way."""

    __slots__ = ("_process", "reference")

    def __init__(self, reference: str, started: process.Process) -> None:
        self.reference = reference
        self._process = started

    def answer(self) -> Image | None:
        """Wait for the answer: the image, or None if the engine does not have it.

        Raises InvalidReference if it can be none, DockerError if the engine does not answer the
        question, each with docker's message.
        """
        status, output, errors = self._process.wait()
        if status == 0:
            return _image(self.reference, output)
        message = _message(errors)
        # For a reference that can't be one, engines say both.
        if "no such image" in message.lower() and _INVALID not in message:
            return None
        raise _refused(message or f"docker image inspect failed: status {status}")


def _refused(message: str) -> DockerError:
    return (InvalidReference if _INVALID in message else DockerError)(message)


def _image(reference: str, output: str) -> Image:
    import json

    from ..requirement import Image

    try:
        config = json.loads(output) or {}
        labels = config.get("Labels") or {}
        environment = dict(entry.split("=", 1) for entry in config.get("Env") or () if "=" in entry)
    except (ValueError, AttributeError, TypeError):
        raise DockerError(
            f"docker describes image {reference} in a way that is not understood: {output[:100]!r}"
        ) from None
    return Image(reference, labels, environment)


def _message(errors: str) -> str:
    message = errors.strip()
    return message[len("Error: ") :] if message.startswith("Error: ") else message
