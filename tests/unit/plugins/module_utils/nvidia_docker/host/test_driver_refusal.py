# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that others than root can change are not given to containers."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    DriverCapability,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
    driver_choice,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"


@pytest.fixture
def as_candidate():
    """A function that gives the candidates with one as if it had other facts."""

    def change(found, origin, **facts):
        assert any(candidate.origin == origin for candidate in found)
        return tuple(replace(c, **facts) if c.origin == origin else c for c in found)

    return change


FILES = {
    "library": (f"{LIB}/libnvcuvid.so.{VERSION}", "/opt/libnvcuvid.so.9"),
    "program": ("/usr/sbin/nvidia-debugdump", "/usr/bin/nvidia-debugdump"),
    "configuration file": (
        "/etc/glvnd/egl_vendor.d/10_nvidia.json",
        "/usr/share/glvnd/egl_vendor.d/10_nvidia.json",
    ),
}


@pytest.mark.parametrize(
    ("owner", "mode", "commands"),
    [
        (0, 0o664, ["chmod go-w"]),
        (0, 0o646, ["chmod go-w"]),
        (1000, 0o644, ["chown root"]),
        (1000, 0o666, ["chown root", "chmod go-w"]),
    ],
)
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("stand_in", [False, True], ids=["alone", "with a stand-in"])
def test_what_others_can_change_is_refused(
    driver, as_candidate, kind, owner, mode, commands, stand_in
) -> None:
    """An error that says how to mend it; a warning if another file of that name is there."""
    origin, other = FILES[kind]
    for path in (origin, other) if stand_in else (origin,):
        if kind == "library":
            driver.library(path, "libnvcuvid.so.1")
        elif kind == "program":
            driver.program(path)
        else:
            driver.file(path, "{}")
    driver.ldconfig()
    found = as_candidate(driver_candidates.candidates(driver.root), origin, owner=owner, mode=mode)
    if stand_in:
        choice = driver_choice.choose(driver.root, found, VERSION)
        assert other in {c.origin for c in choice.files}
        assert origin not in {c.origin for c in choice.files}
        (warning,) = choice.warnings
        assert warning.startswith(f"left out {origin}: it belongs to user {owner} and has mode ")
        return
    with pytest.raises(DriverFilesError) as info:
        driver_choice.choose(driver.root, found, VERSION)
    place = f"{driver.root}{origin}"
    assert f"{place} (user {owner}, mode {mode:04o})" in str(info.value)
    assert " && ".join(f"{command} {place}" for command in commands) in str(info.value)
    assert "\n" not in str(info.value)


def test_what_is_not_taken_is_not_refused(driver, as_candidate) -> None:
    """Mesa's libGL, another driver's file, and what no capability asks for may be anyone's."""
    driver.library(f"{LIB}/libGL.so.1.2.0", "libGL.so.1", needed=("libglapi.so.0",))
    driver.library(f"{LIB}/libnvidia-cfg.so.535.1", "libnvidia-cfg.so.1")
    driver.library(f"{LIB}/libnvidia-ngx.so.{VERSION}", "libnvidia-ngx.so.1")
    driver.ldconfig()
    found = driver_candidates.candidates(driver.root)
    for name in ("libGL.so.1.2.0", "libnvidia-cfg.so.535.1", f"libnvidia-ngx.so.{VERSION}"):
        found = as_candidate(found, f"{LIB}/{name}", owner=1000, mode=0o777)
    asked = (DriverCapability.UTILITY, DriverCapability.GRAPHICS)
    choice = driver_choice.choose(driver.root, found, VERSION, asked)
    assert {c.catalogue_name for c in choice.files} == {"libnvidia-ml", "nvidia-smi"}


def test_the_user_who_makes_the_volume_may_own_the_files(driver, as_candidate, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    driver.ldconfig()
    found = driver_candidates.candidates(driver.root)
    origin = f"{LIB}/libcuda.so.{VERSION}"
    for owner in (0, 1000):
        driver_choice.choose(driver.root, as_candidate(found, origin, owner=owner), VERSION)
    with pytest.raises(DriverFilesError, match="chown root"):
        driver_choice.choose(driver.root, as_candidate(found, origin, owner=1001), VERSION)
