# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker: docker, with the GPUs that an image asks for.

Everything but run and create becomes docker at once. What is imported before that adds to the
start of every docker command, so the rest is imported where it is needed; dataclasses, typing, re
and subprocess (5 to 15 ms each) are kept out of the modules used here.
"""

from __future__ import annotations

import os
import sys

from ..errors import DockerError, InvalidInput, InvalidReference, NvidiaDockerError
from ..host.docker import Docker
from . import docker_command, environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host.docker import ImageQuery
    from ..requirement import Image
    from .docker_options import Table

_INTERRUPTED = 130
"""What a shell reports for a program ended by Ctrl-C."""
_NO_READER = 141
"""... and for one that wrote where nobody reads any more."""


def main(argv: Sequence[str]) -> int:
    """Become docker with the user's arguments, GPUs added where the image asks for them.

    ``argv`` is the whole command line; its first word begins our messages.

    Returns only if that can't be done: an exit status, after a sentence on standard error.
    """
    program, words = argv[0], list(argv[1:])
    try:
        settings = environment.read(os.environ)
        client = Docker(settings.docker)
        command = docker_command.find(words, _ask(client))
        typed = docker_command.find(settings.docker_options).global_options
        global_options = {**typed, **command.global_options}
        if os.environ.get("NV_HOST") or os.environ.get("DOCKER_HOST"):
            from . import engine

            for warning in engine.check(os.environ, global_options):
                _log(program, f"Warning: {warning}")
        if command.name == "version":
            _print_version()
        if command.image is not None:
            # Our own questions go to the engine that the user's global options name.
            docker = Docker((*settings.docker, *command.questions(words)))
            reference = words[command.image]
            added = _options(program, settings, docker, command, reference, global_options)
            words[command.insert : command.insert] = added
        elif command.unknown:
            known = f"neither nvidia-docker nor docker's help knows option {command.unknown}"
            _log(program, f"Warning: no GPU is added: {known}")
        client.exec(words)
    except NvidiaDockerError as error:
        _log(program, f"Error: {error}")
        if os.environ.get("NV_DEBUG"):
            import traceback

            traceback.print_exc()
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return _NO_READER


def _options(
    program: str,
    settings: environment.Settings,
    docker: Docker,
    command: docker_command.Command,
    reference: str,
    global_options: dict[str, str],
) -> list[str]:
    """Return what is to be added to a run or create of this image: nothing if it wants no GPU."""
    # What few command lines need is not imported before the engine is asked.
    if any(command.values(name) for name in ("gpus", "runtime", "device")):
        from . import gpu_request

        own = gpu_request.of_docker(command)
        if own:
            _log(program, f"Warning: no GPU is added: {own} asks docker itself for GPUs")
            return []
    question = docker.ask_image(reference)
    from . import engine

    try:
        plugin = engine.plugin(os.environ, global_options)
    except InvalidInput:
        # docker mostly says itself what is wrong with its engine; an image without GPU is its own.
        if _wanted(settings, docker, command, question) is None:
            return []
        raise
    if plugin is not None:
        wanted = _wanted(settings, docker, command, question)
        if wanted is None:
            return []
        from . import remote

        return remote.options(plugin, *wanted)
    # The engine takes as long to answer as NVML takes to tell what is there.
    from . import local

    discovered = local.start_discovery()
    wanted = _wanted(settings, docker, command, question)
    if wanted is None:
        return []
    image, gpus = wanted
    for name in local.unknown_volumes(image):
        _log(program, f"Warning: image {image.reference} asks for an unknown volume, {name}")
    return local.options(discovered, image, gpus)


def _ask(client: Docker) -> docker_command.Ask:
    def ask(command: str, option: str) -> Table | None:
        from . import client_options

        return client_options.ask(client, os.environ, command, option)

    return ask


def _wanted(
    settings: environment.Settings,
    docker: Docker,
    command: docker_command.Command,
    question: ImageQuery,
) -> tuple[Image, tuple[str, ...]] | None:
    """Return the image and its GPUs, as identifiers for selection.select (empty: all), or None if
    docker is to go on without GPU."""
    from . import gpu_request

    try:
        found = _image(docker, command, question)
    except InvalidReference:
        # docker refuses it too, in its own words.
        return None
    if found is None:
        return None
    image = gpu_request.in_container(found, command.values("env"), os.environ)
    gpus = gpu_request.identifiers(settings.gpus, image) if image.is_gpu_image else None
    return None if gpus is None else (image, gpus)


def _image(docker: Docker, command: docker_command.Command, question: ImageQuery) -> Image | None:
    """Return the image, pulled if it must be, or None if docker is to go on without it.

    Raises DockerError if docker can't tell: the container could be started without its GPU.
    """
    image = question.answer()
    pull = command.value("pull")
    if image is None and pull == "never":
        return None
    if image is None or pull == "always":
        docker.pull(question.reference, _pull_options(command))
        image = docker.image(question.reference)
        if image is None:
            raise DockerError(f"docker pulled {question.reference} but does not have it")
    return image


def _pull_options(command: docker_command.Command) -> list[str]:
    """Return those of the user's options that docker pull has too."""
    names = ("disable-content-trust", "platform", "quiet")
    given = ((name, command.value(name)) for name in names)
    return [f"--{name}={value}" for name, value in given if value is not None]


def _print_version() -> None:
    from .. import __version__

    # Not print(): nothing may be left in a buffer when docker takes over.
    os.write(1, f"NVIDIA Docker: {__version__}\n\n".encode())


def _log(program: str, text: str) -> None:
    """Write v1's form of a message: ``nvidia-docker | 2026/01/31 12:00:00 Error: ...``."""
    import time

    sys.stderr.write(f"{program} | {time.strftime('%Y/%m/%d %H:%M:%S')} {text}\n")
