# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cdi_reader.py and cdi_versions.py"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    cdi_reader,
    cdi_versions,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_versions import (
    InstalledEngine,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import CdiError

SPEC: dict[str, Any] = {
    "cdiVersion": "0.3.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {
            "name": "GPU-1",
            "containerEdits": {
                "deviceNodes": [{"path": "/dev/x", "major": 1, "minor": 3, "permissions": "rw"}]
            },
        }
    ],
    "containerEdits": {
        "env": ["A=b=c"],
        "mounts": [{"hostPath": "/a", "containerPath": "/b", "options": ["ro"]}],
        "hooks": [{"hookName": "createContainer", "path": "/h", "args": ["h", "x"]}],
    },
}
DEVICE = ("devices", 0)
EDITS = (*DEVICE, "containerEdits")
NODE = (*EDITS, "deviceNodes", 0)
COMMON = ("containerEdits",)
GONE = object()


def changed(path: tuple, value: Any) -> Any:
    """Return the specification with another value at a place, or without it."""
    if not path:
        return value
    spec = copy.deepcopy(SPEC)
    inner: Any = spec
    for key in path[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return spec


def test_a_specification_is_read() -> None:
    """Every part of it is where it belongs."""
    spec = cdi_reader.read(SPEC)
    assert (spec.version, spec.kind, spec.variable("A")) == ("0.3.0", "nvidia.com/gpu", "b=c")
    assert spec.variable("B") is None
    node = spec.devices[0].edits.nodes[0]
    assert (node.on_host, node.major, node.minor, node.permissions) == ("/dev/x", 1, 3, "rw")
    assert (node.type, node.uid) == (None, None)
    assert spec.common.mounts[0].options == ("ro",)
    assert spec.common.hooks[0].arguments == ("h", "x")


WRONG = [
    ((), None, "the specification is missing or null"),
    ((), [], "the specification must be an object"),
    (("cdiVersion",), GONE, "cdiVersion must be a string"),
    (("cdiVersion",), 0.5, "cdiVersion must be a string, not 0.5"),
    (("cdiVersion",), "0.5", "'0.5' is no version"),
    (("kind",), "gpu", "'gpu' is no kind"),
    (("kind",), "nvidia.com/", "is no kind"),
    (("kind",), "1nvidia.com/gpu", "is no kind"),
    (("kind",), "nvidia.com/gpu/x", "is no kind"),
    (("kind",), "nvidia.com/gpu-", "is no kind"),
    (("kind",), "nvidia.com/gpu\n", "is no kind"),
    (("devices",), [], "devices is empty"),
    (("devices",), {}, "devices must be a list"),
    (("devices",), None, "devices must be a list"),
    (("devices",), [None], r"devices\[0\] is missing or null"),
    (("extra",), 1, "unknown field 'extra'"),
    ((*DEVICE, "name"), "", "is no device name"),
    ((*DEVICE, "name"), "a b", "is no device name"),
    ((*DEVICE, "name"), "-a", "is no device name"),
    ((*DEVICE, "name"), "a:", "is no device name"),
    ((*DEVICE, "name"), "../a", "is no device name"),
    ((*DEVICE, "name"), 0, "must be a string"),
    ((*DEVICE, "annotations"), "x", "annotations must be an object"),
    (EDITS, {}, "changes nothing"),
    (EDITS, {"deviceNodes": []}, "changes nothing"),
    (EDITS, GONE, "containerEdits is missing or null"),
    ((*EDITS, "deviceNodes"), [None], r"deviceNodes\[0\] is missing or null: dockerd 26 crashes"),
    ((*EDITS, "deviceNodes"), None, "deviceNodes must be a list"),
    ((*EDITS, "additionalGids"), [-1], "at least 0"),
    ((*NODE, "path"), "", "path is empty"),
    ((*NODE, "path"), GONE, "path must be a string"),
    ((*NODE, "major"), "195", "must be a number"),
    ((*NODE, "minor"), True, "must be a number"),
    ((*NODE, "minor"), None, "must be a number"),
    ((*NODE, "type"), "x", "must be b, c, u or p"),
    ((*NODE, "permissions"), "rwx", "must be of r, w and m"),
    ((*NODE, "pathh"), "/", "unknown field 'pathh'"),
    ((*COMMON, "env"), ["=x"], "is no NAME=value"),
    ((*COMMON, "env"), ["x"], "is no NAME=value"),
    ((*COMMON, "env"), "x=y", "must be a list"),
    ((*COMMON, "mounts"), [None], r"mounts\[0\] is missing or null"),
    ((*COMMON, "mounts", 0, "hostPath"), "", "hostPath is empty"),
    ((*COMMON, "mounts", 0, "options"), [1], r"options\[0\] must be a string"),
    ((*COMMON, "hooks", 0, "hookName"), "before", "must be one of prestart"),
    ((*COMMON, "hooks", 0, "path"), GONE, "path must be a string"),
    ((*COMMON, "hooks"), [None], r"hooks\[0\] is missing or null"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG)
def test_what_engines_refuse_or_crash_on_is_an_error(path, value, sentence) -> None:
    """The sentence names the place."""
    with pytest.raises(CdiError, match=sentence):
        cdi_reader.read(changed(path, value))


def test_a_device_that_is_there_twice_is_an_error() -> None:
    """Engines then resolve neither."""
    with pytest.raises(CdiError, match="device 'GPU-1' is there twice"):
        cdi_reader.read(changed(("devices",), SPEC["devices"] * 2))


@pytest.mark.parametrize("text", ["", "{", "[" * 100000, '{"devices": [', "\0"])
def test_a_text_that_is_no_json_is_an_error(text) -> None:
    """Half a file, for example."""
    with pytest.raises(CdiError):
        cdi_reader.read_text(text)


NEEDS = [
    (("kind",), "nvidia.com/gpu", "0.3.0", "the format"),
    ((*COMMON, "mounts", 0, "type"), "bind", "0.4.0", "a mount's type"),
    ((*DEVICE, "name"), "0", "0.5.0", "device names that start with a digit (0)"),
    ((*NODE, "hostPath"), "/dev/y", "0.5.0", "a device node's hostPath"),
    (("kind",), "nvidia.com/gpu.x", "0.6.0", "a dot in the class of nvidia.com/gpu.x"),
    (("annotations",), {"a": "b"}, "0.6.0", "annotations"),
    ((*DEVICE, "annotations"), {"a": "b"}, "0.6.0", "annotations"),
    ((*COMMON, "additionalGids"), [44], "0.7.0", "additionalGids"),
    ((*EDITS, "additionalGids"), [44], "0.7.0", "additionalGids"),
    ((*COMMON, "intelRdt"), {"closID": "x"}, "0.7.0", "intelRdt"),
    ((*COMMON, "netDevices"), [{"hostInterfaceName": "x"}], "1.1.0", "netDevices"),
]


@pytest.mark.parametrize(("path", "value", "version", "what"), NEEDS)
def test_the_lowest_version_is_what_the_fields_need(path, value, version, what) -> None:
    """With the field that needs it, for the user."""
    assert cdi_versions.demands(cdi_reader.read(changed(path, value)))[-1] == (version, what)


HIGHEST = [
    # As recorded with these engines.
    ("podman", "4.3.1", "0.5.0", "0.6.0"),
    ("podman", "4.9.3", "0.5.0", "0.7.0"),
    ("podman", "5.4.2", "0.8.0", "1.0.0"),
    ("docker", "26.1.5+dfsg1", "0.7.0", "0.8.0"),
    # Nobody tried: at least what the one before takes, and nothing is refused.
    ("podman", "5.0.0", "0.5.0", None),
    ("podman", "6.1", "0.8.0", None),
    ("docker", "25.0.3", "0.5.0", None),
    ("docker", "28.2.2", "0.7.0", None),
    # These have no CDI.
    ("docker", "20.10.24+dfsg1", None, None),
    ("docker", "24.0.9", None, None),
    ("podman", "3.0.1", None, None),
    ("podman", "dev", None, None),
]


@pytest.mark.parametrize(("name", "version", "takes", "refuses"), HIGHEST)
def test_engines_take_what_was_recorded(name, version, takes, refuses) -> None:
    """The sentence names the engine and both versions."""
    engine = InstalledEngine(name, version)
    assert cdi_versions.highest(engine) == takes
    assert cdi_versions.refusals(takes or "0.3.0", (engine,)) == ()
    for one in cdi_versions.VERSIONS:
        refused = cdi_versions.refusals(one, (engine,))
        expected = refuses is not None and cdi_versions.number(one) > cdi_versions.number(takes)
        assert bool(refused) == expected, one
    if refuses is not None:
        sentence = cdi_versions.refusals(refuses, (engine,))[0]
        assert all(word in sentence for word in (name, version, takes, refuses))


def test_two_engines_take_the_lower_one() -> None:
    """An engine without CDI does not matter."""
    engines = tuple(InstalledEngine(name, version) for name, version, *_dummy in HIGHEST[2:4])
    old = InstalledEngine("docker", "20.10")
    assert cdi_versions.highest_of((*engines, old)) == "0.7.0"
    assert cdi_versions.highest_of((old,)) is None
    assert cdi_versions.highest_of(()) is None
