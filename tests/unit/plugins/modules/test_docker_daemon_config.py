# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it, beside a dockerd that answers as a chosen version does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.daemon_json_lists import (  # noqa: E501
    LISTS,
    UNITED,
)
from ansible_collections.gpufleet.nvidia.plugins.modules import docker_daemon_config

ROOT = Path(__file__).resolve().parents[4]
MODULE = "ansible_collections.gpufleet.nvidia.plugins.modules.docker_daemon_config"
HOST = "ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host"
RUN = f"""
import json, sys
from pathlib import Path
from ansible.module_utils.testing import patch_module_args
from {HOST} import daemon_state, docker_unit
from {MODULE} import main
folder = Path(sys.argv[1])
daemon_state.STATE, daemon_state.RUN = folder / "state", folder / "run"
docker_unit.DIRECTORIES = (folder / "etc", folder / "lib")
with patch_module_args(json.load(sys.stdin)):
    main()
"""
DOCKERD = """#!/bin/sh
case $1 in
  --version) echo "Docker version {version}, build abc"; exit ;;
  --validate) shift ;;
esac
grep -q refused "$2" && echo "unable to configure with file $2: nope" >&2 && exit 1
case {version} in 20.*) echo "dockerd needs to be started with root privileges" >&2; exit 1 ;; esac
"""
SYSTEMCTL = """#!/bin/sh
printf 'LoadState=loaded\\nMainPID=0\\n'
"""
UNIT = """[Service]
EnvironmentFile=-{folder}/default
ExecStart=/usr/sbin/dockerd -H fd:// --config-file {folder}/docker/daemon.json $DOCKER_OPTS
"""
CDI = {"features": {"cdi": True}}


class Host:
    """A folder with a daemon.json and an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "docker" / "daemon.json"
        self.install("26.1.5+dfsg1")

    def install(self, version: str) -> None:
        self.program("dockerd", DOCKERD.format(version=version))

    def program(self, name: str, text: str) -> None:
        program = self.folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)

    def install_unit(self) -> None:
        """systemd has the unit, and Docker does not run."""
        self.program("systemctl", SYSTEMCTL)
        (self.folder / "lib").mkdir()
        (self.folder / "lib/docker.service").write_text(UNIT.format(folder=self.folder))

    def write(self, text: str) -> None:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"path": str(self.file), **options, "_ansible_check_mode": check}
        arguments |= {"_ansible_remote_tmp": str(self.folder), "_ansible_diff": True}
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(self.folder)],
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
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory() as folder:
        # Where nobody, as whom an old dockerd is asked, can start it.
        os.chmod(folder, 0o755)
        yield Host(Path(folder))


def test_the_documentation_says_how_each_list_is_merged() -> None:
    """In one sentence for those that are united, and one for those that have names."""
    options = yaml.safe_load(docker_daemon_config.DOCUMENTATION)["options"]
    described = {
        separator: set(re.findall(r"C\(([a-z-]+)\)", line))
        for separator, start in ((UNITED, "C(allow"), ("=", "C(exec-opts)"))
        for line in options["config"]["description"]
        if line.startswith(start)
    }
    lists = {
        separator: {key for key in LISTS if LISTS[key] == separator} for separator in (UNITED, "=")
    }
    assert described[UNITED] == lists[UNITED]
    assert described["="] == lists["="] | {key for key in LISTS if LISTS[key] == ":"}


def test_a_new_file_and_a_second_run(host: Host) -> None:
    result = host.run(config=CDI)
    assert result["changed"] and result["restart"] == "restart"
    assert result["changed_keys"] == {"features": "restart"}
    assert result["engine_version"] == "26.1"
    assert json.loads(host.file.read_text()) == CDI
    before = host.file.stat()
    again = host.run(config=CDI)
    assert not again["changed"] and again["restart"] == "none" and again["changed_keys"] == {}
    after = host.file.stat()  # not all of it: to be read is no change, but a new st_atime
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


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


def test_absent_gives_back_the_very_bytes(host: Host) -> None:
    before = '{"features": { "buildkit":true },\r\n\t"mtu" : 1400 }'
    host.write(before)
    wanted = {"features": {"cdi": True, "buildkit": False}, "labels": ["gpu=yes"]}
    assert host.run(config=wanted)["changed"]
    assert host.run(config={"debug": True})["changed"]
    said = host.run(check=True, state="absent", config={**wanted, "debug": True})
    result = host.run(state="absent", config={**wanted, "debug": True})
    assert host.file.read_bytes().decode() == before == said["diff"]["after"]
    assert result["changed"] and result["kept"] == [] and "warnings" not in result
    assert not host.run(state="absent", config={**wanted, "debug": True})["changed"]
    assert host.file.read_bytes().decode() == before


def test_absent_without_config_gives_back_all(host: Host) -> None:
    before = '{"debug": true,   "mtu": 1400}'
    host.write(before)
    for wanted in (CDI, {"debug": False}, {"labels": ["gpu=yes"]}):
        host.run(config=wanted)
    host.write(host.file.read_text().replace("gpu=yes", "gpu=no"))
    assert list((host.folder / "state").iterdir())
    result = host.run(state="absent")
    assert not (host.folder / "state").exists()
    assert result["changed"] and result["kept"] == ["labels.gpu"]
    assert json.loads(host.file.read_text()) == {**json.loads(before), "labels": ["gpu=no"]}
    assert not host.run(state="absent")["changed"]
    assert "config" in host.run(state="present")["msg"]


def test_what_somebody_else_changed_stays_and_is_told(host: Host) -> None:
    assert host.run(config={**CDI, "dns": ["1.1.1.1"]})["changed"]
    host.write('{"features": {"cdi": false}, "dns": ["1.1.1.1", "8.8.8.8"]}')
    result = host.run(state="absent", config={**CDI, "dns": ["1.1.1.1"]})
    assert result["kept"] == ["features.cdi"]
    assert "features.cdi stays, as somebody else" in str(result["warnings"])
    assert json.loads(host.file.read_text()) == {"features": {"cdi": False}, "dns": ["8.8.8.8"]}


DROP_INS = [
    ({"hosts": ["tcp://127.0.0.1:2375"]}, None, "hosts is also a flag of dockerd, -H fd:// in {0}"),
    (
        {"data-root": "/srv"},
        "--data-root=/mnt",
        "data-root is also a flag of dockerd, --data-root=/",
    ),
    ({"debug": True}, "--debug", "debug is also a flag of dockerd, --debug in {1}"),
]


@pytest.mark.parametrize(("config", "flag", "sentence"), DROP_INS)
def test_a_flag_given_twice_is_refused_and_its_file_named(
    host: Host, config: dict[str, Any], flag: str | None, sentence: str
) -> None:
    host.install_unit()
    drop_in = host.folder / "etc/docker.service.d/override.conf"
    if flag:
        drop_in.parent.mkdir(parents=True)
        command = f"/usr/sbin/dockerd {flag} --config-file {host.file}"
        drop_in.write_text(f"[Service]\nExecStart=\nExecStart={command}\n")
    result = host.run(config=config, follow=True)
    assert result["failed"] and not host.file.exists()
    said = sentence.format(host.folder / "lib/docker.service", drop_in)
    assert result["msg"].startswith(f"{host.file} was not changed: {said}")
    assert str(drop_in if flag else "docker.service") in result["msg"]


def test_a_docker_that_does_not_run_is_not_followed(host: Host) -> None:
    host.install_unit()
    result = host.run(config=CDI, follow=True)
    assert result["changed"] and result["restart"] == "restart" and not result["followed"]
    assert not host.run(config=CDI, follow=True)["changed"]


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


def test_an_engine_without_validate_is_asked_without_privileges(host: Host) -> None:
    host.install("20.10.24+dfsg1")
    host.write("{}")
    result = host.run(config={"labels": ["a=refused"]})
    assert result["failed"] and result["msg"].endswith(f"with file {host.file}: nope.")
    assert host.file.read_text() == "{}"
    result = host.run(config={"labels": ["a=b"]})
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
