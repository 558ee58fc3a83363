# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A folder of recordings, and how each kind of them is replayed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import command_lines
import compare
import preparations
from compare import Content, Item
from machine import Machine
from recorded_driver import CHECKOUT, ROLE
from running_plugin import Answer, RunningPlugin, message

DEFAULT = CHECKOUT / "tests" / "golden" / "v1"

_SAME_ORDER_REQUESTS = 20
_PLUGIN_ACCEPT = "application/vnd.docker.plugins.v1.2+json"

MakeMachine = Callable[[dict[str, Any], dict[str, Any]], AbstractContextManager[Machine]]
"""From a driver description and a machine file."""


class Folder:
    """Recordings with the machines and driver installations that they were made on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def machine(self, name: str) -> dict[str, Any]:
        """Return a machine file: the folder's own, else that of the role simulated_gpu."""
        for place in (self.path / "machines", ROLE / "machines"):
            if (place / f"{name}.json").is_file():
                return dict(json.loads((place / f"{name}.json").read_text(encoding="utf-8")))
        raise SystemExit(f"Error: there is no machine file {name}.json for {self.path}")

    def driver(self, version: str) -> dict[str, Any]:
        """Return the driver installation of this version, else the first one.

        The folder's own, or those of the folder that is replayed by default if it has none.
        """
        own = sorted(self.path.glob("driver-*.json"))
        paths = own or sorted(DEFAULT.glob("driver-*.json"))
        found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return dict(next((one for one in found if one["driver"] == version), found[0]))


class Replay:
    """Replays the recordings of a folder, each on machines of its own."""

    def __init__(self, folder: Folder, make_machine: MakeMachine) -> None:
        self._folder = folder
        self._make_machine = make_machine

    def recordings(self) -> Iterator[tuple[str, Callable[[], list[Item]] | None]]:
        """Yield the name of each recording and what replays it; ``None``: nothing does yet."""
        for path in sorted(self._folder.path.iterdir()):
            for pattern, replay in _KINDS.items():
                if re.fullmatch(pattern, path.name):
                    yield path.name, None if replay is None else self._of(replay, path)
                    break

    def _of(self, replay: _Kind, path: Path) -> Callable[[], list[Item]]:
        return lambda: _numbered(replay(self, path))

    @contextmanager
    def _machine(
        self, name: str, preparation: str, more: Mapping[str, Any] | None = None
    ) -> Iterator[Machine]:
        file = {**self._folder.machine(name), **(more or {})}
        with self._make_machine(self._folder.driver(file["driver"]), file) as machine:
            if preparation in preparations.CASES:
                preparations.CASES[preparation](machine)
            yield machine

    def exchanges(self, path: Path) -> Iterator[Item]:
        """rest-<machine>.json: requests to the REST API."""
        recording = json.loads(path.read_text(encoding="utf-8"))
        with self._machine(recording["machine"], path.name) as machine:
            _use_flags(machine, recording["plugin_log"])
            plugin = RunningPlugin(machine)
            _must_serve(plugin)
            for exchange in recording["exchanges"]:
                yield _exchange(plugin, exchange["request"], exchange["response"], unix=False)
            yield from _end(plugin, recording)

    def body(self, path: Path) -> Iterator[Item]:
        """rest-<machine>.<endpoint>.txt: the plain body of one endpoint."""
        machine_name, endpoint = path.name[len("rest-") : -len(".txt")].split(".")
        where = "/" + endpoint.replace("-", "/")
        with self._machine(machine_name, path.name) as machine:
            plugin = RunningPlugin(machine)
            _must_serve(plugin)
            got = plugin.ask("GET", where, {})
            expected = Answer(200, got.content_type, path.read_bytes().decode())
            yield compare.answers(f"GET {where}", where, expected, got)
            plugin.stop()

    def orders(self, path: Path) -> Iterator[Item]:
        """rest-random-order.json: all the answers that many identical requests got."""
        recording = json.loads(path.read_text(encoding="utf-8"))
        with self._machine(recording.get("machine", "zoo5"), path.name) as machine:
            plugin = RunningPlugin(machine)
            _must_serve(plugin)
            for query, result in recording["results"].items():
                where = f"/docker/cli?{query}"
                expected = Answer(200, "text/plain; charset=utf-8", result["examples"][0][0])
                got = {plugin.ask("GET", where, {}) for _number in range(_SAME_ORDER_REQUESTS)}
                yield compare.answers(f"GET {where}", where, expected, got.pop())
                # Ours has one order.
                yield compare.values(f"GET {where}: other answers", 0, len(got))
            plugin.stop()

    def session(self, path: Path) -> Iterator[Item]:
        """volume-driver-*.json: a session on the plugin's socket, with looks at the volumes."""
        recording = json.loads(path.read_text(encoding="utf-8"))
        with self._machine(recording["machine"], path.name) as machine:
            _use_flags(machine, recording["plugin_log"])
            plugin = RunningPlugin(machine)
            _must_serve(plugin)
            mode = stat.S_IMODE(plugin.socket.stat().st_mode)
            yield compare.values("mode of the socket", recording["socket_mode"], f"0o{mode:o}")
            for step in recording["steps"]:
                if "note" in step:
                    preparations.by_note(machine, step["note"])
                elif "tree" in step:
                    yield compare.trees("tree", step["tree"], tree(machine))
                else:
                    item = _exchange(plugin, step["request"], step["response"], unix=True)
                    preparations.as_v1_left_it(machine, item.name)
                    yield item
            yield from _end(plugin, recording)
            yield compare.values(
                "socket removed at the end",
                recording["socket_removed_at_exit"],
                not plugin.socket.exists(),
            )

    def failures(self, path: Path) -> Iterator[Item]:
        """volume-create-failures.json: calls on machines that have something wrong."""
        for case in json.loads(path.read_text(encoding="utf-8")):
            with self._machine(case.get("machine", "zoo5"), case["case"]) as machine:
                plugin = RunningPlugin(machine)
                _must_serve(plugin)
                for call in case["calls"]:
                    body = json.dumps({"Name": call["name"]})
                    where = f"/VolumeDriver.{call['call']}"
                    got = plugin.ask("POST", where, {"Accept": _PLUGIN_ACCEPT}, body, unix=True)
                    expected = Answer(call["status"], got.content_type, call["body"])
                    yield compare.answers(
                        f"{case['case']}: {call['call']} {call['name']}".rstrip(),
                        where,
                        expected,
                        got,
                    )
                names = [entry["path"] for entry in tree(machine)]
                yield compare.lines(f"{case['case']}: tree", case["tree_after"], names)
                status = plugin.stop()
                yield compare.values(f"{case['case']}: exit status", case["exit"], status)
                yield compare.lines(
                    f"{case['case']}: log",
                    map(message, case["log"]),
                    _after_start(plugin.log()),
                )

    def starts(self, path: Path) -> Iterator[Item]:
        """plugin-startup.json: flags, failures, signals."""
        for case in json.loads(path.read_text(encoding="utf-8")):
            name = case["case"]
            environment = dict(case.get("env", {}))
            refusal = int(environment.pop("FAKE_MODPROBE_RC", 0))
            with self._machine(
                case.get("machine", "zoo5"), name, {"modprobe_rc": refusal}
            ) as machine:
                machine.environment.update(environment)
                items = _arguments(machine, case) if "stdout" in case else _start(machine, case)
                for item in items:
                    yield Item(f"{name}: {item.name}", item.expected, item.got)

    def commands(self, path: Path) -> Iterator[Item]:
        """cli*.json: command lines of nvidia-docker."""
        recording = json.loads(path.read_text(encoding="utf-8"))
        yield from command_lines.replay(recording, self._machine)


_Kind = Callable[[Replay, Path], Iterator[Item]]
_KINDS: dict[str, _Kind | None] = {
    r"rest-random-order\.json": Replay.orders,
    r"rest-[^.]*\.json": Replay.exchanges,
    r"rest-[^.]*\.[^.]*\.txt": Replay.body,
    r"volume-driver-[^.]*\.json": Replay.session,
    r"volume-create-failures\.json": Replay.failures,
    r"plugin-startup\.json": Replay.starts,
    r"cli[^.]*\.json": Replay.commands,
}
"""By file name; the first that fits."""


def _use_flags(machine: Machine, log: list[str]) -> None:
    """Start the plugin with the flags that the recorded one had, as its log says."""
    for line in map(message, log):
        value = line.rpartition(" ")[2]
        if line.startswith("Provisioning volumes at "):
            machine.volumes = value
        elif line.startswith("Serving plugin API at "):
            machine.sockets = value
        elif line.startswith("Serving remote API at "):
            machine.listen = value


def _must_serve(plugin: RunningPlugin) -> None:
    if not plugin.serves():
        raise SystemExit(f"Error: the plugin does not start: {plugin.errors()}")


def _exchange(
    plugin: RunningPlugin, request: dict[str, Any], response: dict[str, Any], unix: bool
) -> Item:
    got = plugin.ask(
        request["method"],
        request["path"],
        request.get("headers", {}),
        request.get("body", ""),
        unix,
    )
    name = _request_name(request, unix)
    return compare.answers(name, request["path"], _recorded(response), got)


def _request_name(request: dict[str, Any], unix: bool) -> str:
    headers = request.get("headers", {})
    words = [request["method"], request["path"], request.get("body", "")]
    words += [
        f"({name}: {headers.get(name, 'none')})"
        for name in sorted({*headers, *(["Accept"] if unix else [])} - {"Content-Type"})
        if headers.get(name) != _PLUGIN_ACCEPT
    ]
    return " ".join(word for word in words if word)


def recorded(name: str, item: str) -> Content | None:
    """Return what was recorded in the default folder, of requests to the REST API and of trees."""
    recording = json.loads((DEFAULT / name).read_text(encoding="utf-8"))
    expected = []
    if name.startswith("rest-"):
        for exchange in recording["exchanges"]:
            answer = _recorded(exchange["response"])
            path = exchange["request"]["path"]
            title = _request_name(exchange["request"], unix=False)
            expected.append(compare.answers(title, path, answer, answer))
    elif name.startswith("volume-driver-"):
        steps = (step for step in recording["steps"] if "tree" in step)
        expected += [compare.trees("tree", step["tree"], []) for step in steps]
    else:
        for case in recording:
            tree_after = case.get("tree_after", [])
            expected.append(compare.lines(f"{case['case']}: tree", tree_after, []))
    found = (one.expected for one in _numbered(iter(expected)) if one.name == item)
    return next(found, None)


def _recorded(response: Mapping[str, Any]) -> Answer:
    headers = response["headers"]
    return Answer(
        response["status"],
        headers.get("Content-Type"),
        response["body"],
        headers.get("Location"),
    )


def _end(plugin: RunningPlugin, recording: Mapping[str, Any]) -> Iterator[Item]:
    status = plugin.stop()
    yield compare.values("exit status", recording["plugin_exit"], status)
    yield compare.lines("log", map(message, recording["plugin_log"]), plugin.log())


def _after_start(log: list[str]) -> list[str]:
    started = [number for number, line in enumerate(log) if line.startswith("Serving remote API")]
    return log[started[0] + 1 :] if started else log


def _arguments(machine: Machine, case: Mapping[str, Any]) -> Iterator[Item]:
    plugin = RunningPlugin(machine, shlex.split(case["case"].partition("arguments ")[2]))
    yield compare.values("exit status", case["exit"], plugin.wait())
    recorded = (case["stdout"], case["stderr"])
    yield compare.usages("output", recorded, (plugin.output(), plugin.errors()))


_UNNAMED_EXCHANGES = ("/gpu/info", "/gpu/info/json", "/mesos/cli", "/docker/cli")
"""The requests that the recorded exchanges of a start belong to."""
_PORT_IN_USE = "REST port in use"


def _start(machine: Machine, case: Mapping[str, Any]) -> Iterator[Item]:
    name = case["case"]
    _use_flags(machine, case["log"])
    with _listener(machine.listen) if name == _PORT_IN_USE else socket.socket():
        plugin = RunningPlugin(machine)
        serves = plugin.serves()
    # Signals were sent to a plugin that served.
    expected = case.get("serving", name in _SIGNALS)
    yield compare.values("serves", expected, serves)
    if serves:
        for where, response in zip(_UNNAMED_EXCHANGES, case.get("exchanges", [])):
            got = plugin.ask("GET", where, {})
            yield compare.answers(f"GET {where}", where, _recorded(response), got)
    status = plugin.stop(_SIGNALS.get(name, signal.SIGTERM))
    if "exit" in case:
        yield compare.values("exit status", case["exit"], status)
    yield compare.lines("log", map(message, case["log"]), plugin.log())


_SIGNALS = {"SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}


def _listener(address: str) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    host, _colon, port = address.rpartition(":")
    one.bind((host, int(port)))
    one.listen()
    return one


def tree(machine: Machine) -> list[dict[str, Any]]:
    """Return what is in the volumes' directory, as the recordings tell it."""
    top = machine.path(machine.volumes)
    sources: dict[int, list[str]] = {}
    for file in machine.description["files"]:
        path = machine.path(file["path"])
        if path.exists():
            sources.setdefault(path.stat().st_ino, []).append(file["path"])
    entries = []
    for folder, directories, names in os.walk(top):
        for name in directories + names:
            path = Path(folder, name)
            if not path.name.endswith(".lock"):
                entries.append(_entry(path, str(path.relative_to(top)), sources))
    return sorted(entries, key=lambda entry: str(entry["path"]))


def _entry(path: Path, name: str, sources: Mapping[int, list[str]]) -> dict[str, Any]:
    status = path.lstat()
    mode = f"0o{stat.S_IMODE(status.st_mode):o}"
    if stat.S_ISLNK(status.st_mode):
        return {"path": name, "type": "link", "target": os.readlink(path)}
    if stat.S_ISDIR(status.st_mode):
        return {"path": name, "type": "dir", "mode": mode}
    origin = sources.get(status.st_ino)
    found = {"path": name, "type": "file", "mode": mode}
    return {**found, "hardlink_of": origin} if origin else found


def _numbered(items: Iterator[Item]) -> list[Item]:
    """Give the second of one name a number, the third …"""
    seen: Counter[str] = Counter()
    numbered = []
    for item in items:
        seen[item.name] += 1
        count = seen[item.name]
        name = item.name if count == 1 else f"{item.name} ({count})"
        numbered.append(Item(name, item.expected, item.got))
    return numbered
