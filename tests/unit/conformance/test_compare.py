# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The conformance tests must see a difference where there is one."""

from __future__ import annotations

import base64
import json
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))

import compare  # noqa: E402
import fixed_on_purpose  # noqa: E402
import recordings  # noqa: E402
from running_plugin import Answer  # noqa: E402

TEXT, JSON = "text/plain; charset=utf-8", "application/json"
CLI = "--volume-driver=nvidia-docker --device=/dev/nvidiactl" + 2 * " --device=/dev/nvidia{}"


def changed(path: str, before: Answer, after: Answer) -> tuple[str, ...]:
    item = compare.answers("it", path, before, after)
    return compare.changes(item.expected, item.got)


def mesos(value: object, level: int) -> str:
    text = json.dumps(value, separators=(",", ":")) + "\n"
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode(), level)).decode().rstrip("=")
    return f"--attributes=gpus:{packed} --resources=gpus:{{GPU-1}}"


def test_an_answer_is_equal_to_itself_only() -> None:
    answer = Answer(200, TEXT, "a\n")
    assert changed("/", answer, answer) == ()
    assert changed("/", answer, Answer(200, TEXT, "a")) == ("- a", "+ a (no newline)")
    assert changed("/", answer, Answer(200, JSON, "a\n")) == (f"- 200 {TEXT}", f"+ 200 {JSON}")
    assert changed("/", answer, Answer(400, TEXT, "a\n")) == (f"- 200 {TEXT}", f"+ 400 {TEXT}")
    assert changed("/", answer, Answer(200, TEXT, "a\n", "/b"))
    assert changed("/", answer, Answer(200, TEXT, "a\n\n")) == ("+ ",)


def test_values_of_json_are_told_one_by_one() -> None:
    before = Answer(200, JSON, '{"A":[{"B":0},{"B":null}],"C":"x"}\n')
    after = Answer(200, JSON, '{"A":[{"B":0},{"B":7}],"C":"x"}\n')
    assert changed("/", before, after) == ("- A[1].B: null", "+ A[1].B: 7")


@pytest.mark.parametrize(
    "body",
    [
        '{"A": 1,"C":"\\u003c"}\n',  # a blank
        '{"A":1,"C":"<"}\n',  # not escaped
        '{"A":1,"C":"\\u003c"}',  # no newline
        '{"C":"\\u003c","A":1}\n',  # the order
        '{"A":1.0,"C":"\\u003c"}\n',
    ],
)
def test_json_that_only_means_the_same_is_different(body: str) -> None:
    before = Answer(200, JSON, '{"A":1,"C":"\\u003c"}\n')
    assert changed("/", before, before) == ()
    assert changed("/", before, Answer(200, JSON, body))


def test_the_order_of_gpus_matters_unless_they_are_selected() -> None:
    before, after = Answer(200, TEXT, CLI.format(0, 1)), Answer(200, TEXT, CLI.format(1, 0))
    assert changed("/docker/cli?dev=0+1", before, after) == ()
    assert changed("/v1.0/docker/cli?vol=&dev=0+1", before, after) == ()
    for path in ("/docker/cli", "/docker/cli?dev=*", "/docker/cli?dev=%2A", "/docker/cli?vol=a"):
        assert changed(path, before, after)
    assert changed("/docker/cli?dev=0+1", before, Answer(200, TEXT, CLI.format(0, 2)))
    objects = [
        Answer(200, JSON, f'{{"Devices":["/dev/nvidia{a}","/dev/nvidia{1 - a}"]}}\n')
        for a in (0, 1)
    ]
    assert changed("/docker/cli/json?dev=0+1", *objects) == ()
    assert changed("/docker/cli/json", *objects)


def test_mesos_is_decoded() -> None:
    before = Answer(200, TEXT, mesos({"A": 1}, 9))
    assert before.body != mesos({"A": 1}, 0)
    assert changed("/mesos/cli", before, Answer(200, TEXT, mesos({"A": 1}, 0))) == ()
    assert changed("/mesos/cli", before, Answer(200, TEXT, mesos({"A": 2}, 9))) == (
        "- A: 1",
        "+ A: 2",
    )
    assert changed("/mesos/cli", before, Answer(200, TEXT, "--attributes=gpus:eJw --resources=x"))


def test_directories_are_compared_by_meaning() -> None:
    file = {"path": "a", "type": "file", "mode": "0o644", "size": 1, "hardlink_of": ["/x"]}

    def differ(**other: object) -> bool:
        item = compare.trees("tree", [file], [{**file, **other}])
        return bool(compare.changes(item.expected, item.got))

    assert not differ(size=2)
    assert differ(mode="0o600")
    assert differ(hardlink_of=["/y"])
    assert differ(hardlink_of=None)
    assert differ(type="link", target="b")


def test_a_usage_is_compared_by_its_flags() -> None:
    recorded = ("", "no such flag: -x\nUsage of it:\n  -d string\n  -v\n")

    def differ(stdout: str, stderr: str) -> tuple[str, ...]:
        item = compare.usages("output", recorded, (stdout, stderr))
        return compare.changes(item.expected, item.got)

    assert differ("", "usage: it [-d D] [--new] [-v]\nit: unknown: -x\n") == ()
    assert differ("", "usage: it [-d D]\nit: unknown: -x\n")
    assert differ("", "usage: it [-d D] [-v]\n")
    assert differ("usage: it [-d D] [-v]\nit: unknown: -x\n", "")
    item = compare.usages("output", ("it 1\n", ""), ("it 2\n", ""))
    assert compare.changes(item.expected, item.got) == ("- stdout: it 1", "+ stdout: it 2")


def test_selected_gpus_of_a_docker_command_are_a_set() -> None:
    words = [
        "docker",
        "--device=/dev/nvidiactl",
        *(f"--device=/dev/nvidia{n}" for n in (2, 0)),
        "a",
    ]
    order = [*words[:2], words[3], words[2], words[4]]
    assert list(compare.command(words, selects=True)) == list(compare.command(order, selects=True))
    assert list(compare.command(words, selects=False)) == words
    # The control node and everything else stays where it is.
    moved = [words[0], *words[2:4], words[1], words[4]]
    assert list(compare.command(words, selects=True)) != list(compare.command(moved, selects=True))


def test_every_word_of_a_docker_command_is_a_line() -> None:
    assert list(compare.command(["docker", "", "9\n", "a b"], selects=False)) == [
        "docker",
        "''",
        "'9\\n'",
        "'a b'",
    ]
    assert list(compare.command(None, selects=False)) != list(compare.command([], selects=False))


def test_standard_error_is_compared_from_the_error_on() -> None:
    prefix = "nvidia-docker | 2026/01/31 12:00:00 "
    assert list(compare.error(f"{prefix}Warning: a\n{prefix}Error: b\nc\n")) == ["Error: b", "c"]
    assert list(compare.error(f"{prefix}runtime error: b\n")) == []
    recorded = "x | YYYY/MM/DD HH:MM:SS "
    trace = f"{recorded}Error: b\n{recorded}goroutine 1 [running]:\n(stack trace follows)\n"
    assert list(compare.error(trace)) == ["Error: b", "goroutine 1 [running]:"]
    ours = f'{prefix}Error: b\nTraceback (most recent call last):\n  File "x", line 1\n'
    assert list(compare.error(ours)) == ["Error: b", "Traceback (most recent call last):"]


def test_requests_are_compared_with_their_headers() -> None:
    sent = [("GET /a HTTP/1.1", {"Host": "plugin", "Accept": "x"}), ("GET /b HTTP/1.1", {})]
    assert list(compare.requests(sent)) == [
        "GET /a HTTP/1.1",
        "  Accept: x",
        "  Host: plugin",
        "GET /b HTTP/1.1",
    ]


def test_every_row_says_why_and_differs() -> None:
    for row in fixed_on_purpose.read():
        assert row.title and row.reason.endswith((".", ")"))
        for difference in row.differences:
            assert difference.places and difference.changes
            assert all(line[:2] in ("- ", "+ ") for line in difference.changes)


def test_what_rows_start_from_was_recorded() -> None:
    likes = [one.like for row in fixed_on_purpose.read() for one in row.differences if one.like]
    assert likes
    for like in likes:
        assert recordings.recorded(*like) is not None, like
    assert recordings.recorded("rest-zoo5.json", "GET /no/such") is None


def test_no_place_has_two_rows() -> None:
    fixed_on_purpose.Table(fixed_on_purpose.read())


def test_the_page_is_what_the_table_says() -> None:
    document = fixed_on_purpose.PAGE.read_text(encoding="utf-8")
    assert fixed_on_purpose.with_page(document, fixed_on_purpose.read()) == document


def test_a_row_counts_elsewhere_for_the_same_lines_only() -> None:
    changes = ("- A[1].B: 0", "+ A[1].B: 7", "- C: 1", "- D: 1", "+ D: 2")
    difference = fixed_on_purpose.Difference((("one.json", "GET /a"),), changes, None)
    table = fixed_on_purpose.Table((fixed_on_purpose.Row("a", "b.", (difference,)),))
    assert table.knows("GET /a", changes)
    assert table.knows("GET /a", ("- A[3].B: 0", "+ A[3].B: 7"))
    assert table.knows("GET /a", ("- A[0].B: 0", "+ A[0].B: 7", "- A[2].B: 0", "+ A[2].B: 7"))
    assert not table.knows("GET /b", changes)
    assert not table.knows("GET /a", ("- A[1].B: 0", "+ A[1].B: 8"))
    assert not table.knows("GET /a", ("- A[1].B: 1", "+ A[1].B: 7"))
    assert not table.knows("GET /a", ("- D: 1",))


def test_a_row_counts_elsewhere_for_another_command_line_and_driver() -> None:
    changes = ("- --volume-driver=x", "+ --mount=source=nvidia_driver_375.26,y")
    places = (("cli.json", "one: docker"), ("cli.json", "one: stderr"))
    difference = fixed_on_purpose.Difference(places, changes, None)
    table = fixed_on_purpose.Table((fixed_on_purpose.Row("a", "b.", (difference,)),))
    other = tuple(line.replace("375.26", "550.54.15") for line in changes)
    for lines in (changes, other):
        assert table.knows("two: docker", lines)
        # What another command line says may be wrong.
        assert not table.knows("two: stderr", lines)
        assert table.knows("one: stderr", lines)
        assert not table.knows("two: environment", lines)
    assert not table.knows("two: docker", (*changes, "+ --privileged"))
