# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of environment variables, as docker_container's option ``env_file`` takes it."""

from __future__ import annotations

from ..errors import InvalidInput


def read(path: str) -> dict[str, str]:
    """Return the variables of a file with lines ``NAME=value``; ``#`` begins a comment line.

    Raises InvalidInput for a file that can't be read. A line that is no variable is passed over:
    docker_container refuses it.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if not line.startswith("#")]
    except OSError as error:
        raise InvalidInput(f"env_file: can't read {path}: {error.strerror}") from None
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value for name, _dummy, value in pairs}
