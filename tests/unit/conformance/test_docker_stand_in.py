# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The docker stand-in answers what docker_conf tells, however it is asked, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))

import docker_stand_in  # noqa: E402
from docker_stand_in import Engine  # noqa: E402

CONF = {
    "image.a/b": "1",
    "label.a/b.com.x.y": "one two",
    "image.plain": "1",
    "image.broken": "1",
    "label.broken.com.x.y": "err:template parsing error",
    "pull.new": "ok",
    "label.new.com.x.y": "z",
    "pull.silent": "",
    "volume.v": "local",
    "client_version": "1.9.1",
}
CONFIG = "{{json .Config}}"


@pytest.mark.parametrize(
    "question",
    [
        f"image inspect --format {CONFIG} -- a/b",
        f"image inspect --format={CONFIG} a/b",
        f"image inspect -f {CONFIG} a/b",
        f"inspect --type=image --format={CONFIG} a/b",
        f"inspect --type image -f {CONFIG} -- a/b",
        f"-H tcp://h:1 --context c -D --tls image inspect --format {CONFIG} -- a/b",
        f"--host=inspect -l debug image inspect --format {CONFIG} -- a/b",
    ],
)
def test_a_question_for_an_image_is_recognised(question: str) -> None:
    words = question.replace(CONFIG, "FORMAT").split()
    words = [word.replace("FORMAT", CONFIG) for word in words]
    answer = Engine(CONF).answer(words)
    assert answer is not None and (answer[0], answer[2]) == (0, "")
    assert json.loads(answer[1])["Labels"] == {"com.x.y": "one two"}


def test_templates_are_filled_in() -> None:
    def ask(template: str) -> object:
        return Engine(CONF).answer(["image", "inspect", "--format", template, "plain"])

    assert ask("{{json .Config.Labels}} {{json .RepoTags}}") == (0, 'null ["plain"]\n', "")
    for unknown in ("{{.Id}}", "{{json .Config.Nothing}}", "{{json .Config", "{{ json .Config }}"):
        assert ask(unknown) is None, unknown
    listed = Engine(CONF).answer(["image", "inspect", "plain"])
    assert listed is not None and json.loads(listed[1])[0]["RepoTags"] == ["plain"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["image", "inspect", "new"], (1, "", "Error: No such image: new\n")),
        (["image", "inspect", "broken"], (1, "", "template parsing error\n")),
        (["pull", "--", "silent"], (1, "", "")),
        (["pull", "x"], (1, "", "Error response from daemon: pull access denied\n")),
        (["version", "--format", "{{.Client.Version}}"], (0, "1.9.1\n", "")),
        (["volume", "inspect", "v"], (0, '[{"Name": "v", "Driver": "local"}]\n', "")),
        (["volume", "inspect", "w"], (1, "[]\n", "Error: No such volume: w\n")),
    ],
)
def test_answers(words: list[str], answer: tuple[int, str, str]) -> None:
    assert Engine(CONF).answer(words) == answer


@pytest.mark.parametrize(
    "question",
    [
        "",
        "ps",
        "run plain",
        "inspect plain",
        "inspect --type=container plain",
        "container inspect plain",
        "image inspect",
        "image inspect plain a/b",
        "image ls",
        "context inspect plain",
        "version",
        "-D ps version",
    ],
)
def test_another_question_is_not_answered(question: str) -> None:
    assert Engine(CONF).answer(question.split()) is None


def test_a_pulled_image_is_there() -> None:
    engine = Engine(CONF)
    question = ["image", "inspect", "--format", "{{json .Config.Labels}}", "--", "new"]
    pulled = engine.answer(["-D", "pull", "--platform", "linux/amd64", "--", "new"])
    assert pulled is not None and (pulled[0], pulled[1].count("\n")) == (0, 3)
    assert Engine(CONF, engine.pulled).answer(question) == (0, '{"com.x.y": "z"}\n', "")


def run(folder: Path, conf: dict[str, object], *words: str) -> subprocess.CompletedProcess[str]:
    (folder / docker_stand_in.CONF).write_text(json.dumps(conf))
    return subprocess.run(
        [sys.executable, docker_stand_in.__file__, *words],
        env={docker_stand_in.FOLDER: str(folder), "NV_GPU": "0", "HOME": "/"},
        capture_output=True,
        text=True,
        check=False,
    )


def calls(folder: Path) -> list[tuple[str, list[str]]]:
    lines = (folder / docker_stand_in.CALLS).read_text().splitlines()
    assert all(json.loads(line)["env"] == {"NV_GPU": "0"} for line in lines)
    return [(json.loads(line)["kind"], json.loads(line)["argv"][1:]) for line in lines]


def test_the_docker_that_was_become_is_told_from_one_that_was_started(tmp_path: Path) -> None:
    words = ("image", "inspect", "plain")
    become = run(tmp_path, {"parent": os.getpid(), "exec_rc": "42"}, *words)
    assert (become.returncode, become.stdout, become.stderr) == (42, "(docker output)\n", "")
    asked = run(tmp_path, {**CONF, "parent": 0, "skip_words": "1"}, "-D", "pull", "new")
    assert asked.returncode == 0
    # What was pulled is remembered.
    assert run(tmp_path, {**CONF, "parent": 0}, "image", "inspect", "new").returncode == 0
    unknown = run(tmp_path, {**CONF, "parent": 0}, "ps")
    assert unknown.returncode != 0 and "does not know" in unknown.stderr
    assert calls(tmp_path) == [
        (docker_stand_in.BECOME, list(words)),
        (docker_stand_in.QUESTION, ["-D", "pull", "new"]),
        (docker_stand_in.QUESTION, ["image", "inspect", "new"]),
        (docker_stand_in.UNKNOWN, ["ps"]),
    ]
