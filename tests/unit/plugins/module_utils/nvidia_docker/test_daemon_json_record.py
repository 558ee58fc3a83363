# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was put in is given back exactly, whatever others did meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    daemon_json,
    daemon_json_record,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.daemon_json import same
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.daemon_json_record import (  # noqa: E501
    Record,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DaemonJsonError,
)
from hypothesis import example, given
from hypothesis import strategies as st

FILE = "/etc/docker/daemon.json"
CDI = {"features": {"cdi": True}}
GPUS = {"node-generic-resources": ["gpu=GPU-0"]}
Config = dict[str, Any]


def put_in(record: Record, config: Config, wanted: Config) -> tuple[Record, Config]:
    """As the module does it: merged, remembered, and the record through its file."""
    merged = daemon_json.merge(config, wanted)
    texts = json.dumps(config), json.dumps(merged)
    pending = daemon_json_record.remember(record, wanted, (texts[0], config), (texts[1], merged))
    return reread(daemon_json_record.settled(reread(pending))), merged


def reread(record: Record) -> Record:
    text = daemon_json_record.write(record)
    again = daemon_json_record.parse(text.encode(), "record.json", record.file)
    assert daemon_json_record.write(again) == text
    return again


UNKNOWN = [
    ({"debug": True, **CDI}, CDI, {"debug": True}),
    ({"features": {"cdi": True, "buildkit": True}}, CDI, {"features": {"buildkit": True}}),
    ({"features": {"cdi": False}}, CDI, {"features": {"cdi": False}}),
    ({"features": {}}, CDI, {"features": {}}),
    ({"dns": ["1.1.1.1", "8.8.8.8"]}, {"dns": ["1.1.1.1"]}, {"dns": ["8.8.8.8"]}),
    ({"dns": ["1.1.1.1"]}, {"dns": ["1.1.1.1"]}, {}),
    ({"labels": ["a=1"]}, {"labels": ["a=2"]}, {"labels": ["a=1"]}),
    (
        {"node-generic-resources": ["gpu=GPU-0", "gpu=GPU-1", "x=1"]},
        GPUS,
        {"node-generic-resources": ["gpu=GPU-1", "x=1"]},
    ),
    ({"default-address-pools": [1, 2]}, {"default-address-pools": [1]}, None),
    ({"debug": 1}, {"debug": True}, {"debug": 1}),
    ({"debug": True}, {"debug": {"a": 1}}, {"debug": True}),
    ({"features": {}}, {"features": {}}, {}),
    ({}, CDI, {}),
]


@pytest.mark.parametrize(("current", "unwanted", "result"), UNKNOWN)
def test_without_a_record_what_equals_is_taken_out(
    current: Config, unwanted: Config, result: Config | None
) -> None:
    back = daemon_json_record.take_back(Record(FILE), current, unwanted)
    assert json.dumps(back.config) == json.dumps(current if result is None else result)
    assert back.kept == () and not back.record.live


RESTORED: list[tuple[str, Config, Config]] = [
    ("there was nothing", {}, CDI),
    ("another value", {"features": {"cdi": False, "x": True}}, CDI),
    ("the same value", {"features": {"cdi": True}}, CDI),
    ("an empty map", {"features": {}}, CDI),
    ("null", {"features": None, "dns": None}, {**CDI, "dns": ["1.1.1.1"]}),
    ("an empty list", {"dns": []}, {"dns": ["1.1.1.1"]}),
    ("an item that was there", {"dns": ["1.1.1.1"]}, {"dns": ["8.8.8.8", "1.1.1.1"]}),
    ("a named item", {"labels": ["b=1", "a=1", "c=1"]}, {"labels": ["a=2"]}),
    ("a resource", {"node-generic-resources": ["gpu=GPU-9", "x=1", "gpu=GPU-8"]}, GPUS),
    ("a whole list", {"default-address-pools": [{"base": "a"}]}, {"default-address-pools": []}),
    ("a deep value", {"runtimes": {"a": {"path": "x"}}}, {"runtimes": {"a": {"path": "y"}}}),
    ("a deep map", {"runtimes": {"a": {"path": "x"}}}, {"runtimes": {"n": {"options": {"o": 1}}}}),
    ("a null that was put in", {"debug": True}, {"debug": None}),
    ("an empty map that was put in", {}, {"features": {}}),
]


@pytest.mark.parametrize(
    ("before", "wanted"), [r[1:] for r in RESTORED], ids=[r[0] for r in RESTORED]
)
def test_what_was_there_is_given_back(before: Config, wanted: Config) -> None:
    """Also after a second present, and a second absent leaves what the first gave back."""
    record, config = put_in(Record(FILE), before, wanted)
    record, config = put_in(record, config, wanted)
    back = daemon_json_record.take_back(record, config, wanted)
    assert _items(back.config) == _items(before)
    assert back.kept == () and not back.record.live
    again = daemon_json_record.take_back(reread(back.record), back.config, wanted)
    assert again.config == back.config


def _items(config: Config) -> str:
    """Items of one name may have come together."""
    resources = "node-generic-resources"
    return json.dumps(
        {**config, **({resources: sorted(config[resources])} if resources in config else {})}
    )


def test_a_second_present_keeps_the_first_original() -> None:
    record, config = put_in(Record(FILE), {"log-driver": "syslog"}, {"log-driver": "local"})
    record, config = put_in(record, config, {"log-driver": "json-file"})
    back = daemon_json_record.take_back(record, config, {"log-driver": "whatever"})
    assert back.config == {"log-driver": "syslog"}


def test_a_smaller_absent_gives_back_that_much() -> None:
    record, config = put_in(Record(FILE), {"icc": False}, {"debug": True, **CDI, "icc": True})
    back = daemon_json_record.take_back(record, config, CDI)
    assert back.config == {"icc": True, "debug": True}
    assert back.record.live
    rest = daemon_json_record.take_back(back.record, back.config, {"icc": True, "debug": True})
    assert rest.config == {"icc": False}


def test_what_somebody_else_changed_since_stays_and_is_told() -> None:
    record, config = put_in(Record(FILE), {"icc": False}, {"icc": True, **CDI, "dns": ["1.1.1.1"]})
    config = {**config, "icc": None, "dns": ["1.1.1.1", "8.8.8.8"], "features": {"cdi": False}}
    back = daemon_json_record.take_back(record, config, {"icc": True, **CDI, "dns": ["1.1.1.1"]})
    assert back.config == {"icc": None, "features": {"cdi": False}, "dns": ["8.8.8.8"]}
    assert back.kept == ("icc", "features.cdi")


def test_what_somebody_else_removed_or_put_back_is_not_told() -> None:
    record, _config = put_in(Record(FILE), {"icc": False}, {"icc": True, **CDI})
    back = daemon_json_record.take_back(record, {"icc": False}, {"icc": True, **CDI})
    assert back.config == {"icc": False} and back.kept == ()


def test_a_value_of_somebody_else_is_the_one_to_give_back() -> None:
    """It was put there after ours, and ours was put over it again."""
    record, config = put_in(Record(FILE), {"log-driver": "a"}, {"log-driver": "b"})
    record, config = put_in(record, {"log-driver": "c"}, {"log-driver": "b"})
    back = daemon_json_record.take_back(record, config, {"log-driver": "b"})
    assert back.config == {"log-driver": "c"}


def test_a_writer_killed_before_or_after_the_file_is_no_somebody_else() -> None:
    record, config = put_in(Record(FILE), {}, {"log-driver": "a"})
    merged = {"log-driver": "b"}
    texts = json.dumps(config), json.dumps(merged)
    pending = daemon_json_record.remember(record, merged, (texts[0], config), (texts[1], merged))
    for there, text in ((config, texts[0]), (merged, texts[1])):
        assert pending.untouched(text)
        assert daemon_json_record.take_back(pending, there, merged).config == {}


def test_once_it_is_on_the_disk_the_value_before_is_somebody_else_s() -> None:
    record, config = put_in(Record(FILE), {}, {"log-driver": "a"})
    record, config = put_in(record, config, {"log-driver": "b"})
    back = daemon_json_record.take_back(record, {"log-driver": "a"}, {"log-driver": "b"})
    assert back.kept == ("log-driver",)


def test_the_original_is_kept_while_nobody_else_writes() -> None:
    record, config = put_in(Record(FILE), {"icc": False}, CDI)
    assert record.original == json.dumps({"icc": False})
    record, config = put_in(record, config, {"debug": True})
    assert record.original == json.dumps({"icc": False})
    assert record.untouched(json.dumps(config)) and not record.untouched(None)
    config = {**config, "mtu": 1400}
    assert not record.untouched(json.dumps(config))
    record, config = put_in(record, config, {"debug": False})
    assert not record.untouched(json.dumps(config))
    back = daemon_json_record.take_back(record, config, {"debug": False, **CDI})
    done = daemon_json_record.given_back(back.record, json.dumps(config), json.dumps(back.config))
    assert (done.original, done.digests, done.holders) == (None, (), {})
    record, config = put_in(done, back.config, CDI)
    assert record.original == json.dumps({"icc": False, "mtu": 1400})


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b'{"format": 0, "file": "%s"}' % FILE.encode(),
    daemon_json_record.write(Record("/other")).encode(),
    daemon_json_record.write(Record(FILE)).replace("1", "0", 1).encode(),
    b'{"format": 1, "file": "%s", "settings": {}, "holders": []}' % FILE.encode(),
    b'{"format": 1, "file": "%s", "settings": [{"path": [], "put": []}], "holders": [], '
    b'"original": null, "digests": []}' % FILE.encode(),
    b'{"format": 1, "file": "%s", "settings": [{"path": ["a"], "put": 1}], "holders": [], '
    b'"original": null, "digests": []}' % FILE.encode(),
    b'{"format": 1, "file": "%s", "settings": [1], "holders": [], "original": null, '
    b'"digests": []}' % FILE.encode(),
    b'{"format": 1, "file": "%s", "settings": [], "holders": [], "original": 7, '
    b'"digests": []}' % FILE.encode(),
]


@pytest.mark.parametrize("data", DAMAGED)
def test_a_damaged_or_foreign_record_is_refused(data: bytes) -> None:
    with pytest.raises(
        DaemonJsonError, match=r"^/r\.json is no record of .*: remove it, then"
    ) as e:
        daemon_json_record.parse(data, "/r.json", FILE)
    assert "\n" not in str(e.value)


def test_a_record_of_a_newer_format_is_not_thrown_away() -> None:
    """What stood in the file before is in it."""
    newer = daemon_json_record.write(Record(FILE)).replace("1", "2", 1).encode()
    sentence = (
        "/r.json has format 2, this version of gpufleet.nvidia reads 1: use the version that wrote "
        "it or a later one"
    )
    with pytest.raises(DaemonJsonError) as error:
        daemon_json_record.parse(newer, "/r.json", FILE)
    assert str(error.value) == sentence


NAMES = st.sampled_from(["dns", "labels", "features", "runtimes", "debug", "exec-opts", "x"])
LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b=1", "b=2", ""])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
CONFIGS = st.dictionaries(NAMES, VALUES, max_size=4)


@example({"dns": []}, {"dns": [None]}, {"dns": []})
@example({}, {"dns": None}, {"dns": [None, False]})
@given(CONFIGS, CONFIGS, CONFIGS)
def test_any_settings_are_given_back(before: Config, first: Config, second: Config) -> None:
    """In one go, or in two."""
    try:
        record, config = put_in(Record(FILE), before, first)
        record, config = put_in(record, config, second)
    except DaemonJsonError:
        return
    unnamed = daemon_json_record.take_back(record, config, None)
    assert unnamed.kept == ()
    assert _sorted(unnamed.config) == _sorted(before)
    assert not unnamed.record.live
    for unwanted in (first, second):
        back = daemon_json_record.take_back(record, config, unwanted)
        assert back.kept == ()
        record, config = back.record, back.config
    assert _sorted(config) == _sorted(before)


def _sorted(config: Config) -> Config:
    return {
        key: sorted(map(json.dumps, value)) if isinstance(value, list) else value
        for key, value in config.items()
    }


@given(CONFIGS, CONFIGS)
def test_a_merge_of_a_merge_changes_nothing(current: Config, wanted: Config) -> None:
    try:
        merged = daemon_json.merge(current, wanted)
    except DaemonJsonError:
        return
    assert json.dumps(daemon_json.merge(merged, wanted)) == json.dumps(merged)
    back = daemon_json_record.take_back(Record(FILE), merged, wanted)
    again = daemon_json_record.take_back(Record(FILE), back.config, wanted)
    assert same(again.config, back.config)
