# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-cdi, run as systemd runs it, on a machine without GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils import nvidia_docker
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import cdi_versions
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi import main
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    DriverCapability,
)

PACKAGE = Path(next(iter(nvidia_docker.__path__)))
PROGRAM = """
import sys
sys.path.append({library!r})
from nvidia_docker.cdi.main import main
status = main(sys.argv[1:])
print(*sorted(name for name in sys.modules if name.startswith("nvidia_docker.")))
sys.exit(status)
"""
LOOK = {
    f"nvidia_docker.{name}"
    for name in ("cdi", "cdi.main", "errors", "host", "host.cdi_fingerprint")
}


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with an empty driver root, no engine, and files below the test's own directory."""
    given = [
        f"--path={tmp_path}/cdi/nvidia.json",
        f"--volumes-path={tmp_path}/volumes",
        f"--spec-directories={tmp_path}/cdi",
        f"--driver-root={tmp_path}/driver",
        *arguments,
    ]
    return subprocess.run(
        [sys.executable, "-IS", "-c", PROGRAM.format(library=str(PACKAGE.parent)), *given],
        env={"PATH": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def no_driver_here() -> None:
    if os.path.exists("/sys/module/nvidia/version"):
        pytest.skip("this machine has a driver")


def test_a_failure_is_one_sentence_and_tried_again(tmp_path) -> None:
    """What was there stays, and nothing is remembered as done."""
    spec = tmp_path / "cdi/nvidia.json"
    spec.parent.mkdir()
    node = {"deviceNodes": [{"path": "/dev/null"}]}
    text = json.dumps(
        {
            "cdiVersion": "0.5.0",
            "kind": "nvidia.com/gpu",
            "devices": [{"name": "0", "containerEdits": node}],
            "containerEdits": {"env": ["GPUFLEET_DRIVER_VERSION=550.1"]},
        }
    )
    spec.write_text(text)
    seen = tmp_path / "seen"
    for _attempt in range(2):
        done = run(tmp_path, f"--unless-same-as={seen}")
        assert done.returncode == 1
        assert done.stderr.startswith(f"<3>Error: found no NVIDIA driver in {tmp_path}/driver: ")
        assert done.stderr.count("\n") == 1
    assert spec.read_text() == text
    assert not seen.exists()


def test_nothing_is_done_where_nothing_has_changed(tmp_path) -> None:
    """And nothing is imported that doing it would need: systemd starts it every 20 s."""
    seen = tmp_path / "seen"
    seen.write_text(fingerprint(tmp_path, f"--unless-same-as={seen}"))
    same = run(tmp_path, f"--unless-same-as={seen}")
    assert (same.returncode, same.stderr) == (0, "")
    assert set(same.stdout.split()) == LOOK
    (tmp_path / "cdi").mkdir()
    (tmp_path / "cdi/nvidia.json").write_text("{}")
    assert run(tmp_path, f"--unless-same-as={seen}").returncode == 1


def fingerprint(tmp_path: Path, argument: str) -> str:
    """What the program would have remembered."""
    code = PROGRAM.replace(
        "status = main(sys.argv[1:])\n",
        "from nvidia_docker.cdi import main as one\n"
        "options = vars(one._parser().parse_args(sys.argv[1:]))\n"
        "options.pop('unless_same_as')\n"
        "sys.stdout.write(one._machine(options, sys.argv[1:]) + one._written(options))\n"
        "sys.exit(0)\n",
    )
    given = [
        f"--path={tmp_path}/cdi/nvidia.json",
        f"--volumes-path={tmp_path}/volumes",
        f"--spec-directories={tmp_path}/cdi",
        f"--driver-root={tmp_path}/driver",
        argument,
    ]
    return subprocess.run(
        [sys.executable, "-IS", "-c", code.format(library=str(PACKAGE.parent)), *given],
        env={"PATH": str(tmp_path / "none")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--kind=gpu", "'gpu' is no kind of CDI devices"),
        ("--capabilities=bogus", "unknown driver capability 'bogus'"),
        ("--cdi-version=0.2.0", "CDI version '0.2.0' is not one of 0.3.0, "),
        ("--path=nvidia.json", "'nvidia.json' is no place for a CDI specification"),
        ("--unless-same-as=/", "Error: /: Is a directory"),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path, argument, says) -> None:
    done = run(tmp_path, argument)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cdi").exists()


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("man/man8/nvidia-docker-cdi.8", r"^\.BI? \\-\\-([a-z\\-]+)(?= |$)"),
        ("bash-completion/completions/nvidia-docker-cdi", r"--([a-z-]+)"),
        ("zsh/site-functions/_nvidia-docker-cdi", r"--([a-z-]+)"),
        ("fish/completions/nvidia-docker-cdi.fish", r"--long-option ([a-z-]+)"),
    ],
)
def test_manual_page_and_completions_have_every_option(path, written) -> None:
    """And none that there is not."""
    options = {one for action in main._parser()._actions for one in action.option_strings}
    found = re.findall(written, (PACKAGE / "share" / path).read_text(), re.MULTILINE)
    assert {f"--{one}".replace("\\", "") for one in found} == {*options} - {"-h"}


def test_completions_have_the_values_that_there_are() -> None:
    """Of versions and capabilities."""
    for path in ("bash-completion/completions", "zsh/site-functions", "fish/completions"):
        (file,) = (PACKAGE / "share" / path).glob("*nvidia-docker-cdi*")
        text = file.read_text()
        assert " ".join(cdi_versions.VERSIONS) in text
        assert " ".join(["all", *(one.value for one in DriverCapability)]) in text
