# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-volume-maker as systemd starts it: a connection as input and output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).resolve().parents[6] / "plugins" / "module_utils"
START = (
    f"import sys; sys.path[:0] = [{str(MODULE_UTILS)!r}]; "
    "from nvidia_docker.plugin.volume_maker import main; sys.exit(main(sys.argv[1:]))"
)


def run(request: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", START, *arguments]
    return subprocess.run(
        command, input=request, capture_output=True, text=True, timeout=20, check=False
    )


def test_it_answers_one_request(tmp_path: Path) -> None:
    """The journal has both; a second line is not looked at."""
    (tmp_path / "nvidia_driver/1.2").mkdir(parents=True)
    request = '{"action": "remove", "version": "1.2"}'
    done = run(f"{request}\n{request}\n", "-d", str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"error": None, "warnings": []})
    assert done.stderr == f"{request} -> {done.stdout}"
    assert list((tmp_path / "nvidia_driver").iterdir()) == []


@pytest.mark.parametrize("request_", ["", "no request", "{" * 5000, '{"action": "make"}\n' * 999])
def test_what_is_no_request_is_answered_too(tmp_path: Path, request_: str) -> None:
    done = run(request_, "-d", str(tmp_path), "--link=hard")
    assert json.loads(done.stdout)["error"].startswith("a request is one line of JSON")
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
