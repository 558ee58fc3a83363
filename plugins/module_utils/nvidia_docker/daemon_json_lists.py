# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How two values of one key of daemon.json become one: maps by key, lists as LISTS says.

Both are seen as named parts: a map has its keys, a list that others may have items in has an
item or the items of one name. What is not named stays where it is.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from .json_values import canonical

Path = tuple[str, ...]
"""Names of a value's part, from the top: ``("features", "cdi")``."""


class Nothing(enum.Enum):
    """A key that is not there; null is there."""

    NOTHING = 0


NOTHING = Nothing.NOTHING

UNITED = ""
"""Every item stands for itself; new ones follow."""

LISTS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "allow-nondistributable-artifacts",
            "authorization-plugins",
            "cdi-spec-dirs",
            "dns",
            "dns-search",
            "hosts",
            "insecure-registries",
            "registry-mirrors",
        ),
        UNITED,
    ),
    **dict.fromkeys(("exec-opts", "labels", "node-generic-resources", "storage-opts"), "="),
    "dns-opts": ":",
}
"""Lists of daemon.json that are merged. Items are united, or those of one name (what is before this
separator) replace those of the same name. All other lists are replaced as a whole."""


def parts(path: Path, value: Any) -> dict[str, Any] | None:
    """Return the named parts of the value at ``path``, None if it is one whole.

    A part of a map is its value, a part of a list is the list of its items.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, (list, tuple)) or len(path) != 1 or path[0] not in LISTS:
        return None
    found: dict[str, Any] = {}
    for item in value:
        found.setdefault(_name(path[0], item), []).append(item)
    return found


def with_parts(path: Path, value: Any, changes: Mapping[str, Any]) -> Any:
    """Return a map or list with some parts replaced; NOTHING takes one out, new ones follow."""
    if isinstance(value, Mapping):
        changed = {**value, **changes}
        return {name: part for name, part in changed.items() if part is not NOTHING}
    items: list[Any] = []
    left = dict(changes)
    for item in value:
        name = _name(path[0], item)
        if name not in changes:
            items.append(item)
        else:
            items += _items(left.pop(name, NOTHING))
    return [*items, *(item for part in left.values() for item in _items(part))]


def get(path: Path, config: Mapping[str, Any]) -> Any:
    """Return the part at ``path``, NOTHING if there is none."""
    value: Any = config
    for depth, name in enumerate(path):
        inside = parts(path[:depth], value)
        if inside is None or name not in inside:
            return NOTHING
        value = inside[name]
    return value


def put(path: Path, config: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return ``config`` with another value (NOTHING: none) at ``path``, whose parent is there."""

    def rebuilt(depth: int, there: Any) -> Any:
        if depth == len(path):
            return value
        inside = parts(path[:depth], there) or {}
        changed = rebuilt(depth + 1, inside.get(path[depth], NOTHING))
        return with_parts(path[:depth], there, {path[depth]: changed})

    return dict(rebuilt(0, config))


def wholes(config: Mapping[str, Any]) -> dict[Path, Any]:
    """Return the parts of a configuration that have no parts themselves, an empty map too."""
    found: dict[Path, Any] = {}

    def collect(path: Path, value: Any) -> None:
        inside = parts(path, value)
        if not inside:
            found[path] = value
        for name, part in (inside or {}).items():
            collect((*path, name), part)

    for name, value in config.items():
        collect((name,), value)
    return found


def _items(part: Any) -> Sequence[Any]:
    return () if part is NOTHING else part


def _name(key: str, item: Any) -> str:
    separator = LISTS[key]
    if not isinstance(item, str) or not separator:
        return item if isinstance(item, str) else canonical(item)
    return item.partition(separator)[0]
