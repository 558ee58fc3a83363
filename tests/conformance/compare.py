# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is equal. Each thing that was recorded becomes lines; what differs is told in lines.

The rules are those of the recordings' README: status, body and Content-Type exactly; selected GPUs
as a set; /mesos/cli decoded; directories by meaning.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from running_plugin import Answer

_GPU = re.compile(r"--device=/dev/nvidia[0-9]+")
_MESOS = re.compile(r"--attributes=gpus:([A-Za-z0-9_-]+) ")


@dataclass(frozen=True)
class Content:
    """What was recorded, or what we do: lines, and the body of an answer."""

    lines: tuple[str, ...]
    body: str | None = None


@dataclass(frozen=True)
class Item:
    """One thing that was recorded, and what we do."""

    name: str
    expected: Content
    got: Content


def changes(before: Content, after: Content) -> tuple[str, ...]:
    """Return ``- line`` and ``+ line`` of what differs, in order; empty if nothing does."""
    render = _rendering(before.body, after.body)
    old, new = (*before.lines, *render(before.body)), (*after.lines, *render(after.body))
    changed: list[str] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, first, last, our_first, our_last in matcher.get_opcodes():
        if kind != "equal":
            changed += [f"- {line}" for line in old[first:last]]
            changed += [f"+ {line}" for line in new[our_first:our_last]]
    return tuple(changed)


def answers(name: str, path: str, expected: Answer, got: Answer) -> Item:
    """Compare two answers to one request."""
    contents = []
    for answer in (expected, got):
        head = f"{answer.status} {answer.content_type or 'no Content-Type'}"
        if answer.location is not None:
            head += f" -> {answer.location}"
        contents.append(Content((head,), _meaning(path, answer.body)))
    return Item(name, *contents)


def _meaning(path: str, body: str) -> str:
    """Return the body without what may differ: the order of selected GPUs, a compressor's bytes."""
    where, _mark, query = path.partition("?")
    if where.endswith("/mesos/cli"):
        return _MESOS.sub(lambda found: f"--attributes=gpus:{_inflated(found[1])} ", body)
    if where.endswith("/docker/cli") and _selects(query):
        gpus = iter(sorted(_GPU.findall(body)))
        return _GPU.sub(lambda _found: next(gpus), body)
    if where.endswith("/docker/cli/json") and _selects(query):
        names = re.compile(r'"/dev/nvidia[0-9]+"')
        sorted_names = iter(sorted(names.findall(body)))
        return names.sub(lambda _found: next(sorted_names), body)
    return body


def _selects(query: str) -> bool:
    values = [part[4:] for part in query.split("&") if part.startswith("dev=")]
    return bool(values) and unquote_plus(values[0]) not in ("", "*")


def _inflated(text: str) -> str:
    try:
        return zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        return f"({error}) {text}"


def _rendering(before: str | None, after: str | None) -> Callable[[str | None], tuple[str, ...]]:
    """Return how bodies become lines: JSON as v1 writes it one line per value, if both have it."""
    if before != after:
        for separated in (_whole, _separated):
            if all(_is_canonical(separated(body or "")[1]) for body in (before, after)):
                return _by_value(separated)
    return lambda body: tuple(_visible(line) for line in (body or "").splitlines(keepends=True))


def _by_value(
    separated: Callable[[str], tuple[str, str, str]],
) -> Callable[[str | None], tuple[str, ...]]:
    return lambda body: tuple(_values(*separated(body or "")))


def _whole(body: str) -> tuple[str, str, str]:
    return "", body, ""


def _separated(body: str) -> tuple[str, str, str]:
    """Return what is before the JSON text of a decoded /mesos/cli, that text, what is after it."""
    before, brace, rest = body.partition("{")
    text, newline, after = rest.partition("\n")
    return before, brace + text + newline, after


def _values(before: str, text: str, after: str) -> Iterator[str]:
    yield from (before,) if before else ()
    yield from _leaves(json.loads(text), "")
    yield from (after,) if after else ()


def _visible(line: str) -> str:
    return line[:-1] if line.endswith("\n") else f"{line} (no newline)"


def _is_canonical(body: str) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return False
    if not isinstance(value, dict):
        return False
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n" == body


def _leaves(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _leaves(member, f"{where}.{key}" if where else key)
    elif isinstance(value, list) and value:
        for number, member in enumerate(value):
            yield from _leaves(member, f"{where}[{number}]")
    else:
        yield f"{where}: {json.dumps(value, ensure_ascii=False)}"


def values(name: str, expected: object, got: object) -> Item:
    """Compare two plain values."""
    return lines(name, [str(expected)], [str(got)])


def lines(name: str, expected: Iterable[str], got: Iterable[str]) -> Item:
    """Compare texts line by line."""
    return Item(name, Content(tuple(expected)), Content(tuple(got)))


def gpus(words: Iterable[str]) -> tuple[str, ...]:
    """Return the options of a docker command that are device nodes of GPUs."""
    return tuple(filter(_GPU.fullmatch, words))


def command(words: Sequence[str] | None, selects: bool) -> Iterator[str]:
    """Yield a docker command word by word as a shell takes them; selected GPUs are a set.

    ``None``: no docker was to be seen.
    """
    if words is None:
        yield "(docker is not started)"
        return
    left = sorted(gpus(words))
    for word in words:
        shown = left.pop(0) if selects and _GPU.fullmatch(word) else word
        yield shlex.quote(shown).replace("\n", "\\n")


def error(text: str) -> Iterator[str]:
    """Yield the lines of a command's standard error from ``Error:`` on, without program and time.

    A stack trace is the line that begins one.
    """
    _before, found, after = text.partition("Error:")
    for line in (found + after).splitlines():
        shown = _LOG_PREFIX.sub("", line)
        if shown != "(stack trace follows)":
            yield shown
        if shown in _STACK_TRACES:
            return


_LOG_PREFIX = re.compile(r"^\S+ \| [0-9Y]{4}/[0-9M]{2}/[0-9D]{2} [0-9H]{2}:[0-9M]{2}:[0-9S]{2} ")
_STACK_TRACES = ("goroutine 1 [running]:", "Traceback (most recent call last):")


def variables(environment: Mapping[str, str]) -> list[str]:
    """Return an environment as lines."""
    return [f"{name}={value}" for name, value in sorted(environment.items())]


def requests(sent: Iterable[tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """Yield request lines, each with its headers after it."""
    for line, headers in sent:
        yield line
        yield from (f"  {name}: {value}" for name, value in sorted(headers.items()))


def usages(name: str, expected: tuple[str, str], got: tuple[str, str]) -> Item:
    """Compare what a program wrote to stdout and stderr; of a usage only which of v1's flags it
    names.

    The rest of a usage is for people, and ours is laid out by Python, differently in each version.
    """
    flags = set(_FLAG.findall("".join(filter(_is_usage, expected))))
    return lines(name, _flags_or_lines(expected, flags), _flags_or_lines(got, flags))


_FLAG = re.compile(r"(?<![\w-])-[a-z](?![\w-])")


def _is_usage(text: str) -> bool:
    return "usage" in text.lower()


def _flags_or_lines(streams: tuple[str, str], flags: set[str]) -> Iterator[str]:
    for stream, text in zip(("stdout", "stderr"), streams):
        if _is_usage(text):
            named = sorted(flags.intersection(_FLAG.findall(text)))
            yield f"{stream}: a usage with {' '.join(named)}"
        else:
            yield from (f"{stream}: {line}" for line in text.splitlines())


def trees(
    name: str, expected: Iterable[Mapping[str, Any]], got: Iterable[Mapping[str, Any]]
) -> Item:
    """Compare directories by meaning: sizes belong to the files that were used."""
    return lines(name, map(_entry, expected), map(_entry, got))


def _entry(entry: Mapping[str, Any]) -> str:
    path = entry["path"]
    if entry["type"] == "link":
        return f"{path} -> {entry['target']}"
    mode = entry["mode"][2:].rjust(4, "0")
    if entry["type"] == "dir":
        return f"{path}/ {mode}"
    sources = entry.get("hardlink_of")
    return f"{path} {mode} {'= ' + ' '.join(sources) if sources else 'a file of its own'}"
