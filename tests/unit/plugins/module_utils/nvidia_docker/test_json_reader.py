# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the strict reader refuses, and the place that it names."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DaemonJsonError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.json_reader import read

REFUSED = [
    (b"// managed by ops\n{}", "1:1: a comment is not JSON"),
    (b'{\n  "debug": true // why\n}', "2:17: a comment is not JSON"),
    (b'{\n  /* why */ "debug": true}', "2:3: a comment is not JSON"),
    (b'{"debug": true,}', '1:15: a comma before "}"'),
    (b'{"dns": ["1.1.1.1",\n]}', '1:19: a comma before "]"'),
    (b"\xef\xbb\xbf{}", "1:1: the file starts with a byte order mark"),
    (b"[]", "1:1: the file must hold an object, {...}, and holds a list"),
    (b'\n "x"', "2:2: the file must hold an object, {...}, and holds a string"),
    (b"1", "1:1: the file must hold an object, {...}, and holds a number"),
    (b"false", "1:1: the file must hold an object, {...}, and holds a boolean"),
    (b'{"debug": true}\n{"hosts": []}', "2:1: '{\"hosts\": []}' follows the end"),
    (b'{"debug": true} oops', "1:17: 'oops' follows the end"),
    (b'{"debug": true,\n "debug": false}', '2:2: the key "debug" is there twice'),
    (b'{"features": {"a": true, "a": true}}', '1:26: the key "a" is there twice'),
    (b'{"debug": tr', "1:11: here is 'tr', where a value is due"),
    (b'{"debug": ', "1:11: the file ends here, where a value is due"),
    (b'{"debug" true}', "1:10: here is 'true}', where \":\" after the key is due"),
    (b"{debug: true}", "1:2: here is 'debug: true}', where a key in double quotes"),
    (b"{\"a\": 'x'}", "1:7: here is \"'x'}\", where a value is due"),
    (b'{"a": 01}', "1:7: here is '01}', where a number as JSON writes it is due"),
    (b'{"a": 1.}', "1:7: here is '1.}', where a number as JSON writes it is due"),
    (b'{"a": +1}', "1:7: here is '+1}'"),
    (b'{"a": NaN}', "1:7: here is 'NaN}'"),
    (b'{"a": -Infinity}', "1:7: here is '-Infinity}'"),
    (b'{"a": ' + b"1" * 5000 + b"}", "1:7: this number has more than"),
    (b'{"a": "x\ny"}', "1:7: this string does not end"),
    (b'{"a": "\\x41"}', "1:7: this string does not end"),
    (b'{"a": "\xff\xfe"}', "1:8: these bytes are not UTF-8"),
    ('{"\u00e9": "\u00e9", x}'.encode(), "1:12: here is 'x}'"),
    (b'{"a": ' + b"[" * 100_000, "1:71: values are nested more than"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED, ids=[str(case[1]) for case in REFUSED])
def test_what_json_does_not_know_is_refused_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(DaemonJsonError) as caught:
        read(data, "daemon.json")
    assert str(caught.value).startswith(f"daemon.json:{message}")


@pytest.mark.parametrize("data", [b"", b"  \n", b"null", b"{}", b"\r\n{ }\r\n"])
def test_nothing_is_an_empty_object(data: bytes) -> None:
    assert read(data, "x") == ({}, {})


def test_values_and_their_text() -> None:
    """Numbers keep every digit, strings every character."""
    data = rb'{"a": 12345678901234567890, "b": 1.50, "c": [1e3, "\u00e9\/<&>"], "d": null}'
    values, written = read(data, "x")
    assert values == {"a": 12345678901234567890, "b": 1.5, "c": [1000.0, "\u00e9/<&>"], "d": None}
    assert written == {
        "a": "12345678901234567890",
        "b": "1.50",
        "c": r'[1e3, "\u00e9\/<&>"]',
        "d": "null",
    }
    assert values["b"].text == "1.50"
