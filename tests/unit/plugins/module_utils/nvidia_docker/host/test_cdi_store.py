# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/cdi_store.py"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_reader import (
    read_text,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    CdiError,
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import cdi_store

ROOT = Path(__file__).resolve().parents[6]
GOLDEN = ROOT / "tests" / "golden" / "ctk"


def text_of(*names: str, kind: str = "nvidia.com/gpu", ours: bool = True) -> str:
    edits = {"env": ["GPUFLEET_DRIVER_VERSION=550.1" if ours else "A=b"]}
    devices = [{"name": name, "containerEdits": {"env": ["C=d"]}} for name in names]
    document = {"cdiVersion": "0.5.0", "kind": kind, "devices": devices, "containerEdits": edits}
    return json.dumps(document)


OURS = text_of("0", "all")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run/cdi/nvidia.json"


def test_a_specification_is_written_read_and_removed(path) -> None:
    """With a directory that is made for it, and nothing beside."""
    assert cdi_store.ours(path) is None
    cdi_store.write(path, OURS)
    assert cdi_store.ours(path) == OURS
    assert (path.stat().st_mode & 0o777, os.listdir(path.parent)) == (0o644, ["nvidia.json"])
    cdi_store.write(path, text_of("1"))
    assert cdi_store.load(path).devices[0].name == "1"
    cdi_store.remove(path)
    assert os.listdir(path.parent) == []
    cdi_store.remove(path)


FOREIGN = [
    text_of("0", ours=False),
    "{",
    "",
    '{"cdiVersion": "0.5.0", "devices": [null]}',
    OURS.replace('"C=d"', "null"),
]


@pytest.mark.parametrize("content", FOREIGN)
def test_what_others_made_is_neither_replaced_nor_removed(path, content) -> None:
    """Also what is half a specification."""
    path.parent.mkdir(parents=True)
    path.write_text(content)
    for action in (cdi_store.ours, cdi_store.remove, lambda one: cdi_store.write(one, OURS)):
        with pytest.raises(CdiError, match="was not made by this module"):
            action(path)
    assert path.read_text() == content
    assert os.listdir(path.parent) == ["nvidia.json"]


def test_a_link_a_pipe_and_a_directory_are_not_ours(path) -> None:
    """Nobody waits for a pipe, no link is followed to a file elsewhere."""
    path.parent.mkdir(parents=True)
    other = path.with_name("other.json")
    other.write_text(OURS)
    for make in (lambda: path.symlink_to(other), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(CdiError, match="was not made by this module"):
            cdi_store.write(path, text_of("1"))
        path.rmdir() if path.is_dir() else path.unlink()
    assert other.read_text() == OURS


@pytest.mark.parametrize("leftover", ["", "half of {"])
def test_what_a_crash_left_is_no_hindrance(path, leftover) -> None:
    """The name beside is not one that engines read."""
    path.parent.mkdir(parents=True)
    beside = path.with_name(".nvidia.json.new")
    beside.write_text(leftover)
    assert beside.suffix not in (".json", ".yaml")
    cdi_store.write(path, OURS)
    assert os.listdir(path.parent) == ["nvidia.json"]


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CdiError, match=r"can't write .*: (Not a directory|File exists)"):
        cdi_store.write(tmp_path / "file/cdi/nvidia.json", OURS)
    with pytest.raises(CdiError, match=r"can't remove .*: No such file"):
        cdi_store.remove(tmp_path / "none/nvidia.json")


READER = """
import json, sys, time
path, until = sys.argv[1], time.monotonic() + 60
print("ready", flush=True)
seen = set()
while time.monotonic() < until and len(seen) < 2:
    with open(path) as file:
        seen.add(json.load(file)["devices"][0]["name"])
print(*sorted(seen))
"""


def test_a_reader_never_sees_half_a_specification(path) -> None:
    """dockerd crashes on one."""
    many = [text_of(str(one), *(f"x{n}" for n in range(2000))) for one in (0, 1)]
    cdi_store.write(path, many[0])
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "ready\n"
        written = 0
        while reader.poll() is None:
            written += 1
            cdi_store.write(path, many[written % 2])
        assert reader.stdout.read() == "0 1\n"
    assert reader.returncode == 0


def test_two_writers_take_turns(path) -> None:
    """The one that comes second sees what the first one wrote."""
    code = (
        "import sys; from pathlib import Path; from ansible_collections.gpufleet.nvidia.plugins."
        "module_utils.nvidia_docker.host import cdi_store\n"
        "for _number in range(30): cdi_store.write(Path(sys.argv[1]), sys.argv[2])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".dev")}
    texts = [text_of("0"), text_of("1")]
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), text], env=environment)
        for text in texts
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert path.read_text() in texts
    assert os.listdir(path.parent) == ["nvidia.json"]


PATHS = ["nvidia.json", "/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia", "/etc/../x.json", "", "/.json"]


@pytest.mark.parametrize("text", PATHS)
def test_a_path_that_engines_would_not_read_is_refused(text) -> None:
    with pytest.raises(InvalidInput, match="is no place for a CDI specification"):
        cdi_store.check_path(text)


CONFLICTS = [
    # (directory, file, content, what is said)
    ("first", "a.json", text_of("0", ours=False), ""),
    ("here", "a.json", text_of("0", "9", ours=False), "nvidia.com/gpu=0 too: engines then resolve"),
    ("here", "a.json", text_of("9", ours=False), ""),
    ("here", "a.json", text_of("0", kind="nvidia.com/other"), ""),
    ("here", "a.yml", text_of("0", ours=False), ""),
    ("here", "a.json", "{", ""),
    ("here", ".a.json", text_of("all"), "nvidia.com/gpu=all too"),
    ("last", "nvidia.json", text_of("all"), "nvidia.com/gpu=all too, and engines prefer that"),
    ("last", "a.txt", text_of("all"), ""),
]


@pytest.mark.parametrize(("directory", "name", "content", "says"), CONFLICTS)
def test_a_file_that_keeps_engines_from_ours_is_named(
    tmp_path, directory, name, content, says
) -> None:
    """Of two directories the later one counts, in one directory neither file does."""
    for folder in ("first", "here", "last"):
        (tmp_path / folder).mkdir()
    (tmp_path / directory / name).write_text(content)
    # A directory by another name, and one that is not there.
    (tmp_path / "link").symlink_to("here")
    path = tmp_path / "link/nvidia.json"
    path.write_text(OURS)
    order = [str(tmp_path / one) for one in ("first", "here", "last", "none")]
    found = cdi_store.conflicts(read_text(OURS), path, order)
    assert len(found) == bool(says)
    assert all(says in one and str(tmp_path / directory / name) in one for one in found)


def test_a_specification_of_nvidia_ctk_is_found_in_yaml(tmp_path) -> None:
    """In the same directory: the one thing that users have when they come from the toolkit."""
    (tmp_path / "nvidia.yaml").write_text((GOLDEN / "t4-flat.yaml").read_text())
    found = cdi_store.conflicts(read_text(OURS), tmp_path / "nvidia.json", [str(tmp_path)])
    assert found == (
        f"{tmp_path}/nvidia.yaml has nvidia.com/gpu=0, nvidia.com/gpu=all too: engines then "
        "resolve neither",
    )


LOADED = [
    ("x.yml", OURS, "its name must end in .json or .yaml"),
    ("x.json", "{", "is no CDI specification that engines read: it is no JSON"),
    ("x.yaml", "a: |\n", "line 1"),
    ("x.json", "\udcff", "it is not UTF-8"),
    ("x.json", None, "there is no CDI specification .*x.json: apply role"),
]


@pytest.mark.parametrize(("name", "content", "says"), LOADED)
def test_a_file_that_is_no_specification_is_one_sentence(tmp_path, name, content, says) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CdiError, match=says) as caught:
        cdi_store.load(path)
    assert str(path) in str(caught.value)


def test_nobody_waits_for_a_pipe(tmp_path) -> None:
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(CdiError, match="it is no regular file"):
        cdi_store.load(tmp_path / "x.json")


def test_what_can_not_be_told_is_said(tmp_path) -> None:
    """A directory that engines do not look into, and a file that is not understood."""
    path = tmp_path / "nvidia.json"
    assert cdi_store.doubts(path, [str(tmp_path)]) == ()
    (tmp_path / "good.yaml").write_text((GOLDEN / "t4-flat.yaml").read_text())
    assert cdi_store.doubts(path, [str(tmp_path)]) == ()
    (tmp_path / "flow.yaml").write_text("devices: [{name: x}]\n")
    (found,) = cdi_store.doubts(path, [str(tmp_path)])
    assert f"{tmp_path}/flow.yaml is no CDI specification" in found
    (found,) = cdi_store.doubts(path, ["/none"])
    assert found == f"engines look for specifications in /none, not at {path}"
