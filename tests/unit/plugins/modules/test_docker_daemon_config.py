# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it, beside a dockerd that answers as a chosen version does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
MODULE = "ansible_collections.gpufleet.nvidia.plugins.modules.docker_daemon_config"
RUN = f"""
import json, sys
from ansible.module_utils.testing import patch_module_args
from {MODULE} import main
with patch_module_args(json.load(sys.stdin)):
    main()
"""
DOCKERD = """#!/bin/sh
case $1 in
  --version) echo "Docker version {version}, build abc" ;;
  --validate) grep -q refused "$3" && echo "unable to configure with file $3: nope" >&2 && exit 1
    exit 0 ;;
esac
"""
CDI = {"features": {"cdi": True}}


class Host:
    """A folder with a daemon.json and an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "docker" / "daemon.json"
        self.install("26.1.5+dfsg1")

    def install(self, version: str) -> None:
        program = self.folder / "bin" / "dockerd"
        program.parent.mkdir(exist_ok=True)
        program.write_text(DOCKERD.format(version=version))
        program.chmod(0o755)

    def write(self, text: str) -> None:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"path": str(self.file), **options, "_ansible_check_mode": check}
        arguments |= {"_ansible_remote_tmp": str(self.folder), "_ansible_diff": True}
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            input=json.dumps(arguments),
            env={
                **os.environ,
                "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
                "PYTHONPATH": str(ROOT / ".dev"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_new_file_and_a_second_run(host: Host) -> None:
    result = host.run(config=CDI)
    assert result["changed"] and result["restart"] == "restart"
    assert result["changed_keys"] == {"features": "restart"}
    assert result["engine_version"] == "26.1"
    assert json.loads(host.file.read_text()) == CDI
    before = host.file.stat()
    again = host.run(config=CDI)
    assert not again["changed"] and again["restart"] == "none" and again["changed_keys"] == {}
    assert host.file.stat() == before


def test_check_mode_says_the_same_and_writes_nothing(host: Host) -> None:
    said = host.run(check=True, config=CDI, backup=True)
    assert said["changed"] and not host.file.parent.exists()
    host.write('{"debug": true}\n')
    said = host.run(check=True, config=CDI, backup=True)
    assert host.file.read_text() == '{"debug": true}\n'
    assert [entry.name for entry in host.file.parent.iterdir()] == ["daemon.json"]
    done = host.run(config=CDI)
    assert said["diff"] == done["diff"]
    assert said["restart"] == done["restart"] == "restart"
    assert done["diff"]["before"] == '{"debug": true}\n'
    assert done["diff"]["after"] == host.file.read_text()


def test_absent_takes_out_what_equals(host: Host) -> None:
    host.write('{"debug": true, "features": {"cdi": true, "buildkit": true}}')
    result = host.run(state="absent", config={**CDI, "debug": False})
    assert result["changed_keys"] == {"features": "restart"}
    assert json.loads(host.file.read_text()) == {"debug": True, "features": {"buildkit": True}}
    assert not host.run(state="absent", config=CDI)["changed"]


def test_absent_makes_no_file(host: Host) -> None:
    assert not host.run(state="absent", config=CDI)["changed"]
    assert not host.file.parent.exists()


def test_backup(host: Host) -> None:
    host.write("{}")
    result = host.run(config=CDI, backup=True)
    assert Path(result["backup_file"]).read_text() == "{}"
    assert "backup_file" not in host.run(config=CDI, backup=True)


@pytest.mark.parametrize(
    ("before", "config", "version", "sentence"),
    [
        (
            '{"debug": true,}',
            CDI,
            "26.1.5",
            '{file}:1:15: a comma before "}}" is not JSON: remove it.',
        ),
        (
            '{"runtimes": []}',
            {"runtimes": {"a": {"path": "b"}}},
            "26.1.5",
            "{file}: runtimes is a list in the file and an object is wanted: "
            "correct the one that is wrong.",
        ),
        (
            "{}",
            {"cdi-spec-dirs": ["/etc/cdi"]},
            "20.10.24",
            "{file} was not changed: cdi-spec-dirs is no key that Docker 20.10 knows, "
            "only 25.0 and later: it would not start.",
        ),
        (
            '{"refused": 1}',
            CDI,
            "26.1.5",
            "dockerd refuses the new content, nothing was changed: "
            "unable to configure with file {file}: nope.",
        ),
    ],
)
def test_what_is_refused_is_one_sentence_and_changes_nothing(
    host: Host, before: str, config: dict[str, Any], version: str, sentence: str
) -> None:
    host.install(version)
    host.write(before)
    for check in (True, False):
        result = host.run(check=check, config=config)
        assert result["failed"] and result["msg"] == sentence.format(file=host.file)
    assert host.file.read_text() == before
    assert [entry.name for entry in host.file.parent.iterdir()] == ["daemon.json"]


def test_an_engine_without_validate_is_not_asked(host: Host) -> None:
    host.install("20.10.24+dfsg1")
    host.write("{}")
    result = host.run(config={"labels": ["refused"]})
    assert result["changed"] and result["restart"] == "reload"


def test_a_problem_that_was_there_is_a_warning_where_nothing_changes(host: Host) -> None:
    host.write('{"debug": true, "default-runtime": "gone"}')
    result = host.run(config={"debug": True})
    assert not result["changed"]
    assert ["default-runtime 'gone'" in str(text) for text in result["warnings"]] == [True]


def test_an_empty_file_is_told(host: Host) -> None:
    host.write(" \n")
    result = host.run(config=CDI)
    assert json.loads(host.file.read_text()) == CDI
    assert "is empty" in str(result["warnings"])
