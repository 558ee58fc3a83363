# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one change of a daemon.json will do, from what is there and what is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import daemon_json, daemon_json_keys, daemon_json_record
from ..daemon_json import Document
from ..daemon_json_problems import problems
from ..daemon_json_record import Record
from ..errors import DaemonJsonError
from ..json_values import same
from . import daemon_file, daemon_state, docker_api
from .daemon_state import Note
from .docker_daemon import Daemon


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    path: str
    """As the user wrote it, for messages."""
    config: Mapping[str, Any] | None
    """None: all that was ever put in, to take out."""
    present: bool


@dataclass(frozen=True)
class Change:
    """What will be done; nothing is, yet."""

    file: Path
    request: Request
    daemon: Daemon
    old: bytes | None
    document: Document
    loaded: Mapping[str, Any]
    """The configuration that the running dockerd has."""
    config: Mapping[str, Any]
    text: str | None
    """The new content, None: no file."""
    records: tuple[Record, Record, Record]
    """As it is, while the file is being written, and then."""
    note: Note | None
    """What the running dockerd has loaded, if that is not what the file has."""
    needs: Mapping[str, str]
    """For each key that dockerd has not followed, or would not have: none, reload, restart."""
    stopped: bool
    """dockerd was stopped to follow, and does not run."""
    problems: tuple[str, ...]
    kept: tuple[str, ...]
    info: docker_api.Info | None

    @property
    def changed(self) -> bool:
        """Whether the file changes."""
        return self.text != self.old_text

    @property
    def old_text(self) -> str | None:
        """The file's text, None if there is no file."""
        return None if self.old is None else self.document.text

    @property
    def gives_back_all(self) -> bool:
        """Whether nothing that was ever put in is to stay."""
        return not self.request.present and self.request.config is None

    @property
    def need(self) -> str:
        """What a running Docker needs to follow."""
        if self.stopped:
            return daemon_json_keys.RESTART
        return daemon_json_keys.strongest(self.needs)

    @property
    def followable(self) -> bool:
        """Whether there is a Docker that has to be reloaded or restarted."""
        runs = self.daemon.process is not None or self.stopped
        return runs and self.need != daemon_json_keys.NONE

    @property
    def socket(self) -> str | None:
        """Path of the API's socket, as the running dockerd has it."""
        return self.daemon.socket(self.loaded)

    @property
    def holds_from_now(self) -> bool:
        """Whether live-restore is switched on; a reload before the restart makes it hold then."""
        return (
            self.config.get("live-restore") is True and self.loaded.get("live-restore") is not True
        )

    def stops(self, follow: bool) -> int:
        """Return how many containers the restart stops, 0 where live-restore holds them.

        It has to be on before the restart and after it; ``follow()`` can see to the first.
        """
        if (
            self.need != daemon_json_keys.RESTART
            or self.info is None
            or self.daemon.process is None
        ):
            return 0
        flag = any(one.key == "live-restore" and one.value != "false" for one in self.daemon.flags)
        before = self.info.live_restore or (follow and self.holds_from_now)
        after = flag or self.config.get("live-restore") is True
        return 0 if before and after else self.info.running


def plan(file: Path, request: Request, daemon: Daemon) -> Change:
    """Return the change of ``file`` that ``request`` asks for.

    Raises DaemonJsonError if the file, or what is kept of it, can't be read, if the two can't be
    merged, and if the result is not what dockerd takes.
    """
    old = daemon_file.read(file)
    document = daemon_json.parse(old or b"", request.path)
    text = None if old is None else document.text
    record, note = daemon_state.read_record(file), daemon_state.read_note(file)
    stopped = note is not None and daemon.unit and daemon.process is None
    if note is not None and note.process != daemon.process:
        note = note if stopped else None
    try:
        if request.present:
            new, config, records = _put_in(record, document, text, request.config or {})
            kept: tuple[str, ...] = ()
        else:
            new, config, records, kept = _taken_out(record, document, text, request.config)
    except DaemonJsonError as error:
        raise DaemonJsonError(f"{request.path}: {error}") from error
    loaded = document.config
    if note is not None:
        loaded = daemon_json.parse((note.loaded or "").encode(), "note").config
    socket = daemon.socket(loaded)
    change = Change(
        file=file,
        request=request,
        daemon=daemon,
        old=old,
        document=document,
        loaded=loaded,
        config=config,
        text=new,
        records=records,
        note=note,
        needs=_needs(document.config, loaded, config, daemon, note),
        stopped=stopped,
        problems=problems(config, daemon.version, daemon.flags),
        kept=kept,
        info=docker_api.info(socket) if daemon.process and socket else None,
    )
    if change.changed:
        _check(change)
    return change


def _put_in(
    record: Record, document: Document, text: str | None, wanted: Mapping[str, Any]
) -> tuple[str | None, Mapping[str, Any], tuple[Record, Record, Record]]:
    config = daemon_json.merge(document.config, wanted)
    unchanged = same(config, document.config)
    new = text if unchanged else daemon_json.render(document, config)
    during = daemon_json_record.remember(record, wanted, (text, document.config), (new, config))
    return new, config, (record, during, daemon_json_record.settled(during))


def _taken_out(
    record: Record, document: Document, text: str | None, unwanted: Mapping[str, Any] | None
) -> tuple[str | None, Mapping[str, Any], tuple[Record, Record, Record], tuple[str, ...]]:
    back = daemon_json_record.take_back(record, document.config, unwanted)
    original = daemon_json.parse((record.original or "").encode(), "original")
    if same(back.config, document.config):
        new = text
    elif record.untouched(text) and same(back.config, original.config):
        new = record.original
    else:
        new = daemon_json.render(document, back.config, original)
    after = daemon_json_record.given_back(back.record, text, new)
    # The file goes first: what it no longer has needs no record, and what it has still does.
    return new, back.config, (record, record, after), back.kept


def _needs(
    there: Mapping[str, Any],
    loaded: Mapping[str, Any],
    config: Mapping[str, Any],
    daemon: Daemon,
    note: Note | None,
) -> Mapping[str, str]:
    needs = daemon_json_keys.needed(loaded, config, daemon.version)
    socket = daemon.socket(loaded)
    if note is None or socket is None:
        return needs
    if docker_api.reloaded(socket, note.written, time.time()):
        changed = daemon_json_keys.needed(there, config, daemon.version)
        reload = daemon_json_keys.RELOAD
        needs = {key: need for key, need in needs.items() if need != reload or key in changed}
    return needs


def _check(change: Change) -> None:
    path = change.request.path
    if change.problems:
        raise DaemonJsonError(f"{path} was not changed: {'; '.join(change.problems)}")
    swarm = change.info is not None and change.info.swarm
    if swarm and change.config.get("live-restore") is True and "live-restore" in change.needs:
        raise DaemonJsonError(
            f"{path} was not changed: this host is a node of a Swarm, where Docker does not start "
            "with live-restore"
        )
    if change.text is not None:
        said = change.daemon.refusal(change.text, path)
        if said is not None:
            raise DaemonJsonError(f"dockerd refuses the new content, nothing was changed: {said}")
