# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept beside a daemon.json: the record of what was put in, and what dockerd has loaded.

Both are files of the user who runs this, usually root, and of nobody else's business: values such
as proxies hold passwords.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import daemon_json_record
from ..daemon_json_record import Record
from ..errors import DaemonJsonError
from ..json_reader import read
from ..json_values import dump
from . import owned_file
from .docker_daemon import Process

_NAME = "gpufleet-nvidia/docker_daemon_config"


def _folder(of_root: str, variable: str, of_user: str) -> Path:
    """Return the folder as the file hierarchy standard or, for other users, XDG has it."""
    base = of_root if os.geteuid() == 0 else os.environ.get(variable) or os.path.expanduser(of_user)
    return Path(base) / _NAME


STATE = _folder("/var/lib", "XDG_STATE_HOME", "~/.local/state")
"""Records, as long as the host lives."""
RUN = _folder("/run", "XDG_RUNTIME_DIR", "~/.local/state")
"""Notes: a start of the machine makes dockerd read its file, and empties this folder."""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_FORMAT = 1


@dataclass(frozen=True)
class Note:
    """A dockerd has not followed its file yet."""

    process: Process
    loaded: str | None
    """The file's text as this process has it, None if there was no file."""
    written: float
    """When the file was replaced last, in s since the epoch."""


def read_record(file: Path) -> Record:
    """Return what was put into ``file``; an empty record if nothing was.

    Raises DaemonJsonError for a damaged record, and for one that somebody else could have written.
    """
    path = _path(STATE, file)
    data = _read(path)
    return daemon_json_record.parse(data, str(path), str(file)) if data else Record(str(file))


def write_record(file: Path, record: Record) -> None:
    """Put the record in place of the last one. Raises DaemonJsonError."""
    _write(_path(STATE, file), daemon_json_record.write(record))


def delete_record(file: Path) -> None:
    """Nothing of ours is left in ``file``; folders that are empty then go too."""
    path = _path(STATE, file)
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()
        path.parent.parent.rmdir()


def read_note(file: Path) -> Note | None:
    """Return the note, None if there is none, or one that nothing can be read from."""
    path = _path(RUN, file)
    data = _read(path)
    try:
        told = read(data or b"", str(path))[0]
        process = Process(int(told["pid"]), int(told["started"]))
        loaded, written = told["loaded"], float(told["written"])
        if told["format"] != _FORMAT or not isinstance(loaded, (str, type(None))):
            return None
    except (DaemonJsonError, KeyError, TypeError, ValueError):
        return None
    return Note(process, loaded, written)


def write_note(file: Path, note: Note) -> None:
    """Put the note in place of the last one. Raises DaemonJsonError."""
    content = {
        "format": _FORMAT,
        "file": str(file),
        "pid": note.process.pid,
        "started": note.process.started,
        "loaded": note.loaded,
        "written": note.written,
    }
    _write(_path(RUN, file), dump(content, "  ", "\n", 0) + "\n")


def delete_note(file: Path) -> None:
    """dockerd has followed, or a later one has read the file at its start."""
    with suppress(FileNotFoundError):
        _path(RUN, file).unlink()


def _path(folder: Path, file: Path) -> Path:
    return folder / f"{hashlib.sha256(os.fsencode(file)).hexdigest()[:32]}.json"


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DaemonJsonError(f"{path} can't be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise DaemonJsonError(
                f"{path} is not a file that only this user writes: look who made it, and remove it"
            )
        return file.read()


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        owned_file.write(owned_file.TextFile(path, text, _FILE_MODE))
    except OSError as error:
        raise DaemonJsonError(f"{path} can't be written: {error.strerror}") from error
