# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was put into a daemon.json, and what stood there before, so that it can be given back.

A setting is one whole value: a string, a list that is replaced, an item of one that is not. Maps
and lists that hold settings are remembered too, as they were before the first one was put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .daemon_json_lists import NOTHING, Path, get, parts, put, wholes
from .errors import DaemonJsonError
from .format_number import is_newer, refusal
from .json_reader import read
from .json_values import canonical, dump, same

FORMAT = 1


class NewerRecord(DaemonJsonError):
    """A newer version has written the record."""


@dataclass(frozen=True)
class Setting:
    """One value that was asked for."""

    was: Any = NOTHING
    """What stood there before, also if that was the same; NOTHING if there was none."""
    put: tuple[Any, ...] = ()
    """What stands there now, and while it is being replaced its successor; () once given back."""


@dataclass(frozen=True)
class Record:
    """What was done to one file."""

    file: str
    """The file itself, links followed."""
    settings: Mapping[Path, Setting] = field(default_factory=dict)
    holders: Mapping[Path, Any] = field(default_factory=dict)
    """Empty map or list, null or NOTHING: what a map or list is again when it has no part left."""
    original: str | None = None
    """Text of the file before the first setting, None if there was no file."""
    digests: tuple[str, ...] = ()
    """Of the file as it was left; () once somebody else has changed it."""

    @property
    def live(self) -> bool:
        """Whether there is something to give back."""
        return any(setting.put for setting in self.settings.values())

    def untouched(self, text: str | None) -> bool:
        """Whether nobody else has changed the file since it had ``original``."""
        return digest(text) in self.digests


def digest(text: str | None) -> str:
    """Return what tells one content from another; None: there is no file."""
    return "" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def remember(
    record: Record,
    wanted: Mapping[str, Any],
    before: tuple[str | None, Mapping[str, Any]],
    after: tuple[str | None, Mapping[str, Any]],
) -> Record:
    """Return the record to write before ``wanted`` is put in; ``settled()`` gives the one after it.

    ``before`` and ``after`` are the file's text and configuration. What was there first is kept,
    unless somebody else has put another value there since.
    """
    settings, holders = dict(record.settings), dict(record.holders)
    for path, value in wholes(wanted).items():
        old, new = get(path, before[1]), get(path, after[1])
        if old and parts(path, old) and parts(path, value) == {}:  # nothing to put in
            settings.setdefault(path, Setting())
            continue
        known = settings.get(path)
        if known is not None and any(same_part(old, value) for value in known.put):
            settings[path] = Setting(known.was, (old, new))
        else:
            settings[path] = Setting(old, (new,))
    for holder in _above(wholes(wanted)):
        there, whole = get(holder, before[1]), settings.get(holder)
        if whole is not None and whole.put:  # null or an empty map was put in before
            del settings[holder]
            holders[holder] = _emptied(holder, whole.was)
        elif holder not in holders or there is NOTHING or there is None:
            holders[holder] = _emptied(holder, there)
    if not record.live:
        return Record(record.file, settings, holders, before[0], _digests(before[0], after[0]))
    digests = _digests(before[0], after[0]) if record.untouched(before[0]) else ()
    return Record(record.file, settings, holders, record.original, digests)


def settled(record: Record) -> Record:
    """Return the record once its last change is on the disk."""
    settings = {path: Setting(one.was, one.put[-1:]) for path, one in record.settings.items()}
    return replace(record, settings=settings, digests=record.digests[-1:])


@dataclass(frozen=True)
class Return:
    """What taking out gives."""

    config: dict[str, Any]
    record: Record
    kept: tuple[str, ...]
    """Settings that somebody else has changed since, and that stay."""


def take_back(
    record: Record, config: Mapping[str, Any], unwanted: Mapping[str, Any] | None
) -> Return:
    """Return ``config`` with the settings that ``unwanted`` names as they were before; None: all.

    A setting that the record does not know is taken out if it equals ``unwanted``'s; maps and lists
    that this empties go, or are again what they were. A second time changes nothing.
    """
    named: Mapping[Path, Any]
    named = dict.fromkeys(record.settings) if unwanted is None else wholes(unwanted)
    rest, kept = dict(config), []
    settings, holders = dict(record.settings), dict(record.holders)
    for path, value in named.items():
        there, known = get(path, rest), settings.get(path)
        back = there
        if known is None:
            back = _less(path, there, value)
        elif there is NOTHING or not known.put:
            pass
        elif any(same_part(there, value) for value in known.put):
            back = known.was
        elif not same_part(there, known.was):
            kept.append(".".join(path))
        if known is not None:
            settings[path] = Setting()
        if back is not there:
            rest = put(path, rest, back)
    for holder in sorted(_above(named), key=len, reverse=True):
        if get(holder, config) and parts(holder, get(holder, rest)) == {}:
            rest = put(holder, rest, holders.pop(holder, NOTHING))
    return Return(rest, replace(record, settings=settings, holders=holders), tuple(kept))


def given_back(record: Record, before: str | None, after: str | None) -> Record:
    """Return the record after a return of settings has changed the file's text."""
    if not record.live:
        return Record(record.file, record.settings)
    return replace(record, digests=(digest(after),) if record.untouched(before) else ())


def same_part(left: Any, right: Any) -> bool:
    """Like same(), and NOTHING is the same as itself only."""
    if left is NOTHING or right is NOTHING:
        return left is right
    return same(left, right)


def write(record: Record) -> str:
    """Return the text of the record's file, JSON."""
    settings = [
        {"path": list(path), **_known("was", one.was), "put": list(one.put)}
        for path, one in record.settings.items()
    ]
    holders = [{"path": list(path), **_known("was", was)} for path, was in record.holders.items()]
    content = {
        "format": FORMAT,
        "file": record.file,
        "original": record.original,
        "digests": list(record.digests),
        "settings": settings,
        "holders": holders,
    }
    return dump(content, "  ", "\n", 0) + "\n"


def parse(data: bytes, name: str, file: str) -> Record:
    """Return the record in ``data``.

    Raises DaemonJsonError if it is no record of ``file``, NewerRecord if it is of a newer format.
    """
    try:
        content = read(data, name)[0]
        if is_newer(content["format"], FORMAT):
            raise NewerRecord(refusal(name, content["format"], FORMAT))
        if content["format"] != FORMAT or content["file"] != file:
            raise DaemonJsonError(f"it is of format {content['format']}, for {content['file']}")
        settings = {
            _path(one): Setting(one.get("was", NOTHING), tuple(one["put"]))
            for one in content["settings"]
        }
        holders = {_path(one): one.get("was", NOTHING) for one in content["holders"]}
        original, digests = content["original"], tuple(content["digests"])
        if not all(isinstance(text, str) for text in (*digests, original or "")):
            raise TypeError
    except NewerRecord:
        raise
    except (DaemonJsonError, AttributeError, KeyError, TypeError) as error:
        why = f": {error}" if isinstance(error, DaemonJsonError) else ""
        raise DaemonJsonError(
            f"{name} is no record of what was put into {file}{why}: remove it, then state absent "
            "takes out what equals the given settings"
        ) from None
    return Record(file, settings, holders, original, digests)


def _above(paths: Iterable[Path]) -> set[Path]:
    return {path[:length] for path in paths for length in range(1, len(path))}


def _known(name: str, value: Any) -> dict[str, Any]:
    return {} if value is NOTHING else {name: value}


def _path(entry: Mapping[str, Any]) -> Path:
    path = tuple(entry["path"])
    if not path or not all(isinstance(name, str) for name in path):
        raise TypeError
    return path


def _digests(*texts: str | None) -> tuple[str, ...]:
    return tuple(digest(text) for text in texts)


def _emptied(path: Path, there: Any) -> Any:
    if there is NOTHING or there is None or parts(path, there) is None:
        return there
    return {} if isinstance(there, Mapping) else []


def _less(path: Path, there: Any, value: Any) -> Any:
    if there is NOTHING:
        return NOTHING
    if len(path) == 2 and isinstance(value, list) and parts(path[:1], value) is not None:
        unwanted = {canonical(item) for item in value}
        left = [item for item in there if canonical(item) not in unwanted]
        return left or NOTHING if len(left) < len(there) else there
    return NOTHING if same(there, value) else there
