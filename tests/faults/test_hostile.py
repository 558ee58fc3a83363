# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, links and requests that want a driver volume to be elsewhere, or something to break."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverVolumeError,
    InvalidInput,
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    helper,
    volume_maker,
    volume_store,
)
from ansible_collections.gpufleet.nvidia.tests.faults import tools
from ansible_collections.gpufleet.nvidia.tests.faults.tools import LOCK, VERSION

MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
START = """
import sys
sys.path.insert(0, {module_utils!r})
from functools import partial
from pathlib import Path
from nvidia_docker.host import volume_maker
from nvidia_docker.plugin import helpers
# The only thing that it can't be told: a driver root of the tests.
volume_maker.LocalVolumeMaker = partial(
    volume_maker.LocalVolumeMaker, driver_root=Path({driver_root!r})
)
sys.exit(helpers.make_volume(sys.argv[1:]))
"""
OTHERS = 12345
"""A user who owns nothing else."""


class Site:
    """A driver, a store with its volume, and a tree that nobody may touch."""

    def __init__(self, base: Path) -> None:
        self.driver = tools.install(base / "driver")
        self.canary = base / "canary"
        for directory in ("lib64", VERSION, f".{VERSION}.0123abcd"):
            (self.canary / directory).mkdir(parents=True)
            (self.canary / directory / "file").write_text("precious")
        (self.canary / "file").write_text("precious")
        self.root = base / "volumes"
        self.store = self.root / "nvidia_driver"
        self.place = driver_volume.create(self.root, VERSION, self.driver.root).path
        self.whole = tools.content(self.place)
        self._before = tools.snapshot(self.driver.root, self.canary)

    def assert_untouched(self) -> None:
        """What is outside of the store is as it was."""
        assert tools.snapshot(self.driver.root, self.canary) == self._before

    def assert_right(self) -> None:
        assert driver_volume.unfit(self.root, VERSION) == ()
        assert tools.content(self.place) == self.whole
        assert tools.in_store(self.root) == [LOCK, VERSION]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    # A name that a shell would take apart.
    return Site(tmp_path / "the driver's; volumes")


@pytest.fixture
def maker(site: Site) -> volume_maker.LocalVolumeMaker:
    return volume_maker.LocalVolumeMaker(site.root, site.driver.root)


def everything(site: Site, version: str) -> Iterator[Callable[[], object]]:
    """Yield all that can be done with a version."""
    maker = volume_maker.LocalVolumeMaker(site.root, site.driver.root)
    yield lambda: driver_volume.create(site.root, version, site.driver.root)
    yield lambda: driver_volume.compare(site.root, version, site.driver.root)
    yield lambda: driver_volume.unfit(site.root, version)
    yield lambda: driver_volume.content(site.root, version)
    yield lambda: volume_store.exists(site.root, version)
    yield lambda: volume_store.mount_point(site.root, version)
    yield lambda: volume_store.remove(site.root, version)
    yield lambda: maker.make(version)
    yield lambda: maker.remove(version)


@pytest.mark.parametrize(
    "version",
    [
        *("", ".", "..", "/", "../canary", f"../../canary/{VERSION}", "1/../..", f"{VERSION}/."),
        *(
            "1\0",
            f"{VERSION}\n",
            f" {VERSION}",
            "1..2",
            "-1",
            "1e3",
            "٣",
            "५५०.५४",
            "\uff11.2",
            "1.²",
        ),
        *("~", "$HOME", "`id`", "*", f".{VERSION}.lock", "\udc80", "\ud800", "1.\U0001f600"),
    ],
)
def test_texts_that_are_no_version(site: Site, version: str) -> None:
    for action in everything(site, version):
        with pytest.raises(InvalidInput, match="invalid driver version") as caught:
            action()
        tools.assert_a_sentence(caught.value)
    site.assert_untouched()
    site.assert_right()


@pytest.mark.parametrize(
    "version", ["1" * 255, "1" * 256, "1." * 60 + "1", "9" * 5000, "1" * 70000]
)
def test_versions_that_are_too_long(site: Site, version: str) -> None:
    """Longer than a name or a path may be, and than a number that Python reads."""
    for action in everything(site, version):
        with suppress(NvidiaDockerError):
            action()
    assert volume_store.remove(site.root, version) is False
    site.assert_untouched()
    site.assert_right()


# Links that somebody planted.


def the_volume(site: Site) -> None:
    volume_store.remove(site.root, VERSION)
    site.place.symlink_to(site.canary)


def a_directory_in_it(site: Site) -> None:
    for name in ("bin", "lib64", "share"):
        (site.place / name).rename(site.root.parent / f"moved {name}")
        (site.place / name).symlink_to(site.canary / "lib64")


def a_file_in_it(site: Site) -> None:
    for name in (f"lib64/libcuda.so.{VERSION}", "manifest.json", "bin/nvidia-smi"):
        (site.place / name).unlink()
        (site.place / name).symlink_to(site.canary / "file")


def strays_in_it(site: Site) -> None:
    for name in ("stray", "strays", "lib64/stray", "share/OpenCL/stray"):
        (site.place / name).symlink_to(site.canary)


def a_name_left_over(site: Site) -> None:
    (site.store / f".{VERSION}.0123abcd").symlink_to(site.canary)
    (site.place / "lib64/libcuda.so.1").unlink()


def links_in_what_is_left_over(site: Site) -> None:
    left = site.store / f".{VERSION}.89abcdef"
    left.mkdir()
    (left / "lib64").symlink_to(site.canary)
    (left / "file").hardlink_to(site.driver.path(f"{tools.LIB}/libcuda.so.{VERSION}"))


PLANTED = (
    the_volume,
    a_directory_in_it,
    a_file_in_it,
    strays_in_it,
    a_name_left_over,
    links_in_what_is_left_over,
)


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_link_is_replaced_and_never_followed(site: Site, plant) -> None:
    plant(site)
    with suppress(DriverVolumeError):
        driver_volume.unfit(site.root, VERSION)
    driver_volume.compare(site.root, VERSION, site.driver.root)
    driver_volume.content(site.root, VERSION)
    site.assert_untouched()
    driver_volume.create(site.root, VERSION, site.driver.root)
    site.assert_untouched()
    site.assert_right()


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_link_is_removed_and_never_followed(site: Site, plant) -> None:
    plant(site)
    assert volume_store.remove(site.root, VERSION)
    site.assert_untouched()
    assert tools.in_store(site.root) == []


@pytest.mark.parametrize("target", ["file", "none", "directory"])
def test_a_lock_that_is_a_link_is_refused(site: Site, target: str) -> None:
    (site.place / "lib64/libcuda.so.1").unlink()
    (site.store / LOCK).unlink()
    (site.store / LOCK).symlink_to(site.canary / target if target != "directory" else site.canary)
    for action in (
        lambda: driver_volume.create(site.root, VERSION, site.driver.root),
        lambda: volume_store.remove(site.root, VERSION),
    ):
        with pytest.raises(DriverVolumeError) as caught:
            action()
        tools.assert_a_sentence(caught.value)
    site.assert_untouched()
    assert site.place.is_dir()


# Requests to the volume maker.

REQUESTS = {
    "nothing": b"",
    "a line end": b"\n",
    "no JSON": b"make 550.54.15\n",
    "no text": bytes(range(256)),
    "half": b'{"action": "make", "ver',
    "deep": b"[" * 1023 + b"\n",
    "deep in a member": b'{"action": ' + b"[" * 1000,
    "huge": b'{"action": "remove", "version": "550.54.15", "x": "' + b"x" * 3_000_000 + b'"}\n',
    "many digits": b'{"action": "remove", "version": ' + b"9" * 900 + b"}\n",
    "a list": b'["remove", "550.54.15"]\n',
    "a text": b'"remove"\n',
    "null": b"null\n",
    "wrong types": b'{"action": ["remove"], "version": {"a": 1}}\n',
    "a number": b'{"action": "remove", "version": 550.54}\n',
    "true": b'{"action": true, "version": true}\n',
    "another action": b'{"action": "list", "version": "550.54.15"}\n',
    "a lone surrogate": b'{"action": "remove", "version": "\\ud800"}\n',
    "a lone surrogate to do": b'{"action": "\\udcff", "version": "1"}\n',
    "up": b'{"action": "remove", "version": "../../canary"}\n',
    "NUL": b'{"action": "remove", "version": "550.54.15\\u0000/../x"}\n',
    "a line end in it": b'{"action": "remove", "version": "550.54.15\\n"}\n',
    "not this driver": b'{"action": "make", "version": "1.2"}\n',
    "UTF-16": '{"action": "remove", "version": ".."}'.encode("utf-16"),
}
HARMLESS = {
    "extra members": b'{"action": "make", "version": "550.54.15", "root": "/", "driver_root": "/x",'
    b' "hard_links_only": true, "__class__": "x"}\n',
    "none such": b'{"action": "remove", "version": "1.2.3"}\n',
    "too long": b'{"action": "remove", "version": "' + b"1" * 900 + b'"}\n',
    "two lines": b'{"action": "make", "version": "550.54.15"}\n{"action": "remove"}\n',
    "the last one counts": b'{"action": "remove", "version": "550.54.15", "version": "1.2"}\n',
}
ALL_REQUESTS = [
    *((request, False) for request in REQUESTS.values()),
    *((request, True) for request in HARMLESS.values()),
]
ALL_NAMES = [*REQUESTS, *HARMLESS]


def check(answer: bytes, harmless: bool) -> None:
    assert answer.endswith(b"\n") and answer.count(b"\n") == 1
    told = json.loads(answer)
    assert set(told) <= {"error", "warnings"}
    assert (told["error"] is None) == harmless, told
    if not harmless:
        tools.assert_a_sentence(ValueError(told["error"]))
        assert len(told["error"]) < 3000


@pytest.mark.parametrize(("request_", "harmless"), ALL_REQUESTS, ids=ALL_NAMES)
def test_requests(site: Site, maker, request_: bytes, harmless: bool) -> None:
    line = request_.split(b"\n")[0][: helper.LARGEST_QUESTION]
    check(helper.answer(line, partial(volume_maker.act, maker)), harmless)
    site.assert_untouched()
    site.assert_right()


def test_requests_to_the_program(site: Site) -> None:
    """Started as systemd does: one process per request, which comes on standard input."""
    before = tools.snapshot(site.root)
    for name, (request, harmless) in zip(ALL_NAMES, ALL_REQUESTS):
        done = ask(site, request)
        assert done.returncode == 0, (name, done.stderr)
        assert b"Traceback" not in done.stderr, name
        check(done.stdout, harmless)
    site.assert_untouched()
    site.assert_right()
    assert tools.snapshot(site.root) == before
    check(ask(site, b'{"action": "remove", "version": "550.54.15"}\n').stdout, True)
    assert tools.in_store(site.root) == []
    check(ask(site, b'{"action": "make", "version": "550.54.15"}').stdout, True)
    site.assert_right()
    site.assert_untouched()


def ask(site: Site, request: bytes) -> subprocess.CompletedProcess[bytes]:
    start = START.format(module_utils=str(MODULE_UTILS), driver_root=str(site.driver.root))
    return subprocess.run(
        [sys.executable, "-IS", "-c", start, "-d", str(site.root)],
        input=request,
        capture_output=True,
        timeout=20,
        check=False,
    )


def test_who_asks_and_goes_away_is_no_error(site: Site) -> None:
    """Nobody reads the answer: the volume is made all the same."""
    volume_store.remove(site.root, VERSION)
    start = START.format(module_utils=str(MODULE_UTILS), driver_root=str(site.driver.root))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-IS", "-c", start, "-d", str(site.root)],
        input=b'{"action": "make", "version": "550.54.15"}\n',
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr, done.stderr
    site.assert_right()


# Others than root could write to it.


def mended(error: DriverVolumeError) -> None:
    """Run the command that an error names."""
    tools.assert_a_sentence(error)
    command = re.search(r": (chown root .*)$", str(error))
    assert command is not None, error
    subprocess.run(["sh", "-ec", command[1]], check=True)


@pytest.mark.parametrize("which", ["store", "root"])
@pytest.mark.parametrize(
    ("mode", "owner"), [(0o777, 0), (0o775, 0), (0o757, 0), (0o1777, 0), (0o755, OTHERS)]
)
def test_a_store_that_others_can_write_to(site: Site, which: str, mode: int, owner: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    directory = site.store if which == "store" else site.root
    os.chown(directory, owner, 0)
    directory.chmod(mode)
    for action in (
        lambda: volume_store.remove(site.root, VERSION),
        lambda: driver_volume.create(site.root, VERSION, site.driver.root),
    ):
        with pytest.raises(DriverVolumeError, match="can be written by others than root") as caught:
            action()
    mended(caught.value)
    driver_volume.create(site.root, VERSION, site.driver.root)
    site.assert_right()
    assert volume_store.remove(site.root, VERSION)


@pytest.mark.parametrize("below", ["", "lib64", "share/OpenCL/vendors"])
@pytest.mark.parametrize(
    ("mode", "owner", "reason"),
    [(0o777, 0, "has mode 0777"), (0o755, OTHERS, f"belongs to user {OTHERS}")],
)
def test_a_volume_that_others_can_write_to(
    site: Site, below: str, mode: int, owner: int, reason: str
) -> None:
    """It is not given out, and made right by the next run."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    directory = site.place / below
    os.chown(directory, owner, 0)
    directory.chmod(mode)
    (told,) = driver_volume.unfit(site.root, VERSION)
    assert told.endswith(reason)
    assert driver_volume.create(site.root, VERSION, site.driver.root).changed
    site.assert_right()
    site.assert_untouched()


def test_a_manifest_of_another_user(site: Site) -> None:
    """Who can write to it could tell what is right."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    manifest = site.place / "manifest.json"
    for mode, owner in ((0o666, 0), (0o644, OTHERS)):
        os.chown(manifest, owner, 0)
        manifest.chmod(mode)
        assert driver_volume.unfit(site.root, VERSION) != ()
        assert driver_volume.create(site.root, VERSION, site.driver.root).changed
        site.assert_right()
