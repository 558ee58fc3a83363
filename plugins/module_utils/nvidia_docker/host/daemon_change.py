# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A planned change of a daemon.json: written, followed, or taken back.

The order on the disk is what makes it safe to be killed: the record before the file, so that what
was there is never lost; the note before the file, so that the next run knows what dockerd has not
followed; both are tidied up last.
"""

from __future__ import annotations

import time
from pathlib import Path

from .. import daemon_json_keys, daemon_json_record
from ..daemon_json_record import Record
from ..errors import DaemonJsonError
from . import daemon_file, daemon_state, docker_follow
from .daemon_plan import Change
from .daemon_state import Note


def write(change: Change) -> None:
    """Put the new content in place. Raises DaemonJsonError; the file is then as it was."""
    before, during, after = change.records
    process = change.daemon.process
    if change.changed:
        _write_record(change.file, before, during)
        if process is not None:
            loaded = change.note.loaded if change.note else change.old_text
            daemon_state.write_note(change.file, Note(process, loaded, time.time()))
        daemon_file.replace(change.file, change.text, change.old)
    _write_record(change.file, during if change.changed else before, after)
    if change.gives_back_all and not after.live:
        # All that it could still say is what somebody may take out by name; nobody has put it in.
        daemon_state.delete_record(change.file)


def check_follow(change: Change) -> None:
    """Raise DaemonJsonError, before anything is written, if Docker can't be made to follow."""
    restarts = change.need == daemon_json_keys.RESTART
    if restarts and change.daemon.process is not None and not change.daemon.unit:
        raise DaemonJsonError(
            f"{change.request.path} was not changed: Docker would have to be restarted, and no "
            f"systemd runs it here as docker.service (process {change.daemon.process.pid} does)"
        )


def finish(change: Change) -> None:
    """Forget the note if there is nothing left that dockerd has to follow."""
    if change.need == daemon_json_keys.NONE:
        daemon_state.delete_note(change.file)


def follow(change: Change) -> bool:
    """Make a running dockerd do what ``change`` needs; return whether it had to do something.

    Raises DaemonJsonError with Docker's reason if it refuses. The file and the record are then what
    they were, and Docker runs with that file.
    """
    process, need = change.daemon.process, change.need
    if not change.followable:
        return False
    restarts = False
    try:
        if process is not None and (need == daemon_json_keys.RELOAD or change.holds_from_now):
            docker_follow.reload(process, change.socket)
        if need == daemon_json_keys.RESTART:
            restarts = True
            docker_follow.restart(change.daemon.socket(change.config))
    except docker_follow.Refused as error:
        raise DaemonJsonError(_take_back(change, str(error), restarts)) from error
    daemon_state.delete_note(change.file)
    return True


def _take_back(change: Change, reason: str, restarts: bool) -> str:
    """Put the old file back, let Docker run with it, and return the sentence about that.

    An old one that Docker has never followed may be no better: then the one that it has loaded.
    """
    refusal = f"Docker refuses the new {change.request.path}: {reason}"
    olds = [change.old_text] if change.changed else []
    olds += [change.note.loaded] if change.note else []
    there, runs = change.text, ""
    for old in olds:
        try:
            daemon_file.replace(change.file, old, None if there is None else there.encode())
        except DaemonJsonError as error:
            return f"{refusal}; and the old one can't be put back: {error}"
        there, runs = old, "Docker goes on with it"
        if not restarts:
            break
        try:
            docker_follow.restart(change.socket)
            runs = "Docker was started with it"
            break
        except docker_follow.Refused as error:
            runs = f"Docker does not start with it either ({error})"
    if change.changed:
        daemon_state.write_record(change.file, change.records[0])
    if change.note is None or restarts:
        daemon_state.delete_note(change.file)
    return f"{refusal}; the old one is back, and {runs}"


def _write_record(file: Path, there: Record, new: Record) -> None:
    if daemon_json_record.write(there) != daemon_json_record.write(new):
        daemon_state.write_record(file, new)
