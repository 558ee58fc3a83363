# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The helpers as systemd starts them: a connection as standard input and output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).resolve().parents[6] / "plugins" / "module_utils"
START = (
    f"import sys; sys.path[:0] = [{str(MODULE_UTILS)!r}]; "
    "from nvidia_docker.plugin import helpers; sys.exit(helpers.{function}(sys.argv[1:]))"
)


def run(
    request: str, *arguments: str, function: str = "make_volume", path: str = "/usr/bin:/bin"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", START.replace("{function}", function), *arguments]
    return subprocess.run(
        command,
        input=request,
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_it_answers_one_request(tmp_path: Path) -> None:
    """The journal has both; a second line is not looked at."""
    (tmp_path / "nvidia_driver/1.2").mkdir(parents=True)
    request = '{"action": "remove", "version": "1.2"}'
    done = run(f"{request}\n{request}\n", "-d", str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"error": None})
    assert done.stderr == f"{request} -> {done.stdout}"
    assert list((tmp_path / "nvidia_driver").iterdir()) == []


@pytest.mark.parametrize("request_", ["", "no request", "{" * 5000, '{"action": "make"}\n' * 999])
def test_what_is_no_request_is_answered_too(tmp_path: Path, request_: str) -> None:
    done = run(request_, "-d", str(tmp_path), "--link=hard")
    assert re.match("a request is|can't 'make' None", json.loads(done.stdout)["error"])
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--capabilities=cuda", "unknown driver capability 'cuda': known are compute, utility, "),
        ("--link=soft", "invalid choice: 'soft'"),
    ],
)
def test_wrong_arguments_are_named(argument: str, says: str) -> None:
    """They are in the unit, so they come from a person."""
    done = run("", argument)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def docker(folder: Path, output: str, status: int = 0) -> str:
    """Return a PATH with a docker client that says this."""
    program = folder / "docker"
    to = " >&2" if status else ""
    program.write_text(f"#!/bin/sh\nprintf %s '{output}'{to}\nexit {status}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


CONFIG = '{"Labels":{"com.nvidia.cuda.version":"9.0"},"Env":["SECRET=x"]}'
READ = [
    (CONFIG, 0, {"labels": {"com.nvidia.cuda.version": "9.0"}, "environment": {"SECRET": "x"}}),
    ("Error: No such image: i", 1, None),
]


@pytest.mark.parametrize(("output", "status", "image"), READ)
def test_an_image_is_its_labels_and_environment(
    tmp_path: Path, output: str, status: int, image: dict | None
) -> None:
    """And none of it gets into the journal."""
    path = docker(tmp_path, output, status)
    done = run('{"image": "i:1"}\n', function="read_image", path=path)
    assert json.loads(done.stdout) == {"error": None, "image": image}
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ('{"image": "--help"}', "invalid image reference '--help'"),
        ('{"image": "a b"}', "invalid image reference"),
        ('{"image": 1}', "can't look at image 1"),
        ("{}", "can't look at image None"),
        ("x", "one line of JSON"),
        ('{"image": "i"}', "Cannot connect to the Docker daemon"),
    ],
)
def test_what_can_not_be_read_has_its_reason(tmp_path: Path, request_: str, says: str) -> None:
    path = docker(tmp_path, "Cannot connect to the Docker daemon", 1)
    done = run(request_, function="read_image", path=path)
    assert says in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
