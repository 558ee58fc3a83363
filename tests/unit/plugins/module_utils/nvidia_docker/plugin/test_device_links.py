# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-device-links; its work is tested in host/test_device_links.py."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    device_links,
)


@pytest.mark.parametrize(("arguments", "told"), [([], ["a", "b"]), (["--settle"], ["a", "b", "c"])])
def test_it_goes_on_until_nothing_is_new(
    monkeypatch, capsys, arguments: list[str], told: list[str]
) -> None:
    """Where several nodes come one after the other; before the plugin nobody waits."""
    left = iter([("a", "b"), ("c",), (), ("d",)])
    monkeypatch.setattr(device_links.device_links, "make", lambda: next(left))
    monkeypatch.setattr(device_links.time, "sleep", lambda _seconds: None)
    assert device_links.main(arguments) == 0
    lines = [f"{node} is linked in /dev/char" for node in told]
    assert capsys.readouterr().out.splitlines() == lines


def test_what_is_in_the_way_is_told(monkeypatch, capsys) -> None:
    def refuse() -> tuple[str, ...]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(device_links.device_links, "make", refuse)
    assert device_links.main([]) == 1
    expected = "Error: can't make links in /dev/char: Permission denied\n"
    assert capsys.readouterr().err == expected
