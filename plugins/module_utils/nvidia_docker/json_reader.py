# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A strict reader of a JSON object: what is wrong is told with line and column.

json.loads takes duplicate keys, NaN and numbers that it can't write down again.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import DaemonJsonError
from .json_values import Real, kind, quote

_MAX_DEPTH = 64
_MAX_DIGITS = 1000

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


def read(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the object that a file holds, and the text of each of its values as written.

    An empty or blank file and ``null`` are an empty object. ``name`` is the file's in messages.
    Raises DaemonJsonError with ``name:line:column`` and a sentence.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise _error(name, before, len(before), "these bytes are not UTF-8") from None
    value, written = _Reader(text, name).top()
    return value or {}, written


def _error(name: str, text: str, at: int, sentence: str) -> DaemonJsonError:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return DaemonJsonError(f"{name}:{line}:{column}: {sentence}")


class _Reader:
    """Reads one JSON text and knows where it is: json.loads tells no place of a duplicate."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.at = 0

    def top(self) -> tuple[Any, dict[str, str]]:
        if self.text.startswith("\ufeff"):
            raise self.error("the file starts with a byte order mark: save it as UTF-8 without BOM")
        self.blank()
        if self.at == len(self.text):
            return None, {}
        start = self.at
        written: dict[str, str] = {}
        value = self.object(0, written) if self.peek() == "{" else self.value(0)
        self.blank()
        if self.at < len(self.text):
            raise self.error(f"{self.snippet()} follows the end of the JSON value: remove it")
        if value is not None and not isinstance(value, dict):
            self.at = start
            raise self.error(f"the file must hold an object, {{...}}, and holds {kind(value)}")
        return value, written

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self.error(f"values are nested more than {_MAX_DEPTH} deep")
        character = self.peek()
        if character == "{":
            return self.object(depth, {})
        if character == "[":
            return self.array(depth)
        if character == '"':
            return self.string()
        number = _NUMBER.match(self.text, self.at)
        if number:
            return self.number(number)
        word = _WORD.match(self.text, self.at)
        if word and word.group() in _WORDS:
            self.at = word.end()
            return _WORDS[word.group()]
        raise self.unexpected("a value")

    def object(self, depth: int, written: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.at += 1
        self.blank()
        while self.peek() != "}":
            if self.peek() != '"':
                raise self.unexpected('a key in double quotes or "}"')
            start = self.at
            key = self.string()
            if key in found:
                self.at = start
                raise self.error(f"the key {quote(key)} is there twice: remove one of them")
            self.blank()
            self.expect(":", '":" after the key')
            self.blank()
            start = self.at
            found[key] = self.value(depth + 1)
            written[key] = self.text[start : self.at]
            self.separator("}")
        self.at += 1
        return found

    def array(self, depth: int) -> list[Any]:
        found = []
        self.at += 1
        self.blank()
        while self.peek() != "]":
            found.append(self.value(depth + 1))
            self.separator("]")
        self.at += 1
        return found

    def separator(self, closing: str) -> None:
        self.blank()
        if self.peek() == closing:
            return
        comma = self.at
        self.expect(",", f'"," or "{closing}"')
        self.blank()
        if self.peek() == closing:
            self.at = comma
            raise self.error(f'a comma before "{closing}" is not JSON: remove it')

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise self.error("this string does not end on its line, or has a wrong escape")
        self.at = found.end()
        return str(json.loads(found.group()))

    def number(self, found: re.Match[str]) -> Any:
        if len(found.group()) > _MAX_DIGITS:
            raise self.error(f"this number has more than {_MAX_DIGITS} characters")
        if re.match(r"[A-Za-z0-9_.+-]", self.text[found.end() : found.end() + 1]):
            raise self.unexpected("a number as JSON writes it")
        self.at = found.end()
        return Real(found.group()) if found.group(1) or found.group(2) else int(found.group())

    def blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def expect(self, character: str, what: str) -> None:
        if self.peek() != character:
            raise self.unexpected(what)
        self.at += 1

    def snippet(self) -> str:
        return repr(self.text[self.at :].splitlines()[0][:30].rstrip())

    def unexpected(self, what: str) -> DaemonJsonError:
        rest = self.text[self.at :]
        if not rest:
            return self.error(f"the file ends here, where {what} is due")
        if rest.startswith(("//", "/*", "#")):
            return self.error(f"a comment is not JSON, dockerd refuses it: {self.snippet()}")
        return self.error(f"here is {self.snippet()}, where {what} is due")

    def error(self, sentence: str) -> DaemonJsonError:
        return _error(self.name, self.text, self.at, sentence)
