# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flags of a dockerd, as keys of daemon.json: one given in both places stops its start.

Source: moby's cmd/dockerd and daemon/config/config.go, findConfigurationConflicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .daemon_json_keys import BOOLEAN, KEYS

_SHORT = {
    "D": "debug",
    "G": "group",
    "H": "host",
    "b": "bridge",
    "g": "graph",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}
_KEYS_OF = {
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "cluster-store-opt": "cluster-store-opts",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "host": "hosts",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
"""Flags whose key has another name."""

_SWITCHES = {name for name, key in KEYS.items() if key.type == BOOLEAN} | {"restart", "validate"}
_MAY_BE_BOTH = {"runtimes"}
_WHOLE_MAPS = {
    "builder",
    "cluster-store-opts",
    "default-network-opts",
    "default-ulimits",
    "features",
    "log-opts",
    "nri-opts",
    "runtimes",
}
"""dockerd takes the keys in all other maps, such as proxies, for keys of their own."""


@dataclass(frozen=True)
class Flag:
    """One flag of a command line."""

    key: str
    """What daemon.json calls it."""
    value: str
    """Empty for a switch without one."""
    text: str
    """As written, for example ``-H fd://``."""
    source: str
    """The file that has it."""


def read(words: Iterable[tuple[str, str]]) -> tuple[Flag, ...]:
    """Return the flags in the words after ``dockerd``, each with the file that it is from."""
    return tuple(_read(iter(tuple(words))))


def duplicates(config: Mapping[str, Any], flags: Iterable[Flag]) -> tuple[str, ...]:
    """Return a sentence for each key of daemon.json that is also given as a flag."""
    keys: set[str] = set()
    for key, value in config.items():
        keys |= set(value) if isinstance(value, Mapping) and key not in _WHOLE_MAPS else {key}
    found: dict[str, Flag] = {}
    for flag in flags:
        if flag.key in keys - _MAY_BE_BOTH:
            found.setdefault(flag.key, flag)
    return tuple(
        f"{key} is also a flag of dockerd, {flag.text} in {flag.source}, and Docker does not start "
        "with both: keep it in one place"
        for key, flag in found.items()
    )


def _read(words: Iterator[tuple[str, str]]) -> Iterator[Flag]:
    for word, source in words:
        if word.startswith("--"):
            name, separator, value = word[2:].partition("=")
            text = word
        elif word.startswith("-") and len(word) > 1:
            name, value = _SHORT.get(word[1], word[1]), word[2:].lstrip("=")
            separator, text = value, word
        else:
            continue
        if not separator and name not in _SWITCHES:
            value = next(words, ("", ""))[0]
            text = f"{word} {value}"
        yield Flag(_KEYS_OF.get(name, name), value, text, source)
