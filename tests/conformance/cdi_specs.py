# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compares our CDI specifications with recorded ones of nvidia-ctk, on the same machines.

cdi_specs.py [FOLDER]: the status is 1 if something differs that no row of cdi_differences.json
explains. cdi_specs.py --page writes the table of docs/cdi-differences.md.

Compared is what a container gets, said in lines: which device nodes with which numbers, which file
of the host under which name, variables, hooks.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    cdi_reader,
    cdi_yaml,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_plan import (
    Surroundings,
    plan_devices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_spec import (
    Edits,
    Spec,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_mounts import (
    few_mounts,
    library_links,
    mounts,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    cdi_check,
    cdi_machine,
    driver_candidates,
    driver_root,
    driver_volume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    FileMount,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import cdi
from cdi_layout import CHECKOUT, Layout, hook_words, host_of, links, nodes_of, record_of

DEFAULT = CHECKOUT / "tests" / "golden" / "ctk"
TABLE = Path(__file__).with_name("cdi_differences.json")
PAGE = CHECKOUT / "docs" / "cdi-differences.md"
_LIBRARY_DIRECTORY = re.compile(
    r"/usr/lib(64|/(x86_64|aarch64)-linux-gnu)"
    r"(/nvidia/current(?!/gbm)|/glibc-hwcaps/x86-64-v2|/tls)?(/vdpau)?/(?=(gbm/)?[^/]+$)"
)
"""Where loaders find a library in containers; Debian's own directory only by the hook's cache."""
_LINKS = "/run/nvidia-docker-cdi/links/1"
_PROGRAM_DIRECTORY = re.compile(r"/usr/s?bin/(?=[^/]+$)")
_START, _END = "<!-- differences -->\n", "<!-- end of differences -->\n"


@dataclass(frozen=True)
class Row:
    """Why differences are as they are."""

    reason: str
    why: str
    better: str
    """``ours``, ``theirs``, or ``equal``: the same in effect."""
    lines: tuple[re.Pattern[str], ...]
    asked: tuple[str, ...] = ()
    """Counts only where nvidia-ctk had one of these arguments; empty: everywhere."""

    def explains(self, recording: Recording, line: str) -> bool:
        """Whether a line (``+ …`` only ours has, ``- …`` only theirs) differs for this reason."""
        if self.asked and not set(self.asked) & set(recording.arguments):
            return False
        return any(pattern.fullmatch(line) for pattern in self.lines)


def rows() -> tuple[Row, ...]:
    """Return the table."""
    return tuple(
        Row(
            one["reason"],
            one["why"],
            one["better"],
            tuple(map(re.compile, one["lines"])),
            tuple(one.get("asked", ())),
        )
        for one in json.loads(TABLE.read_text(encoding="utf-8"))
    )


@dataclass(frozen=True)
class Recording:
    """A specification that nvidia-ctk wrote, and how it was asked."""

    name: str
    machine: str
    arguments: tuple[str, ...]
    spec: Spec

    def option(self, name: str) -> list[str]:
        """Return the values of an option: ``--device-id=0`` gives ``0``."""
        start = f"--{name}="
        return [word[len(start) :] for word in self.arguments if word.startswith(start)]


def recordings(folder: Path) -> tuple[Recording, ...]:
    """Return what was recorded in a folder with index.json."""
    found = []
    for name, machine, arguments, status, _lines in json.loads(
        (folder / "index.json").read_text(encoding="utf-8")
    ):
        words = tuple(arguments.split())
        if status == 0 and words[:2] == ("cdi", "generate"):
            as_json = folder / f"{name}.json"
            path = as_json if as_json.is_file() else folder / f"{name}.yaml"
            text = path.read_text(encoding="utf-8")
            value = json.loads(text) if path == as_json else cdi_yaml.read(text)
            found.append(Recording(name, machine, words, cdi_reader.read(value)))
    return tuple(found)


def is_recorded(folder: Path) -> bool:
    """Whether a folder has recordings of nvidia-ctk, in the list of its index.json."""
    try:
        listed = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(listed, list) and all(
        isinstance(one, list) and len(one) == 5 for one in listed
    )


def compare(
    folder: Path = DEFAULT, one_by_one: bool = False
) -> Iterator[tuple[Recording, list[str], int]]:
    """Yield each recording with the lines that differ, and how many lines are equal.

    ``one_by_one``: with each driver file mounted, as on hosts where links are not enough.
    """
    every = recordings(folder)
    for recording in every:
        same = [one.spec for one in every if one.machine == recording.machine]
        with tempfile.TemporaryDirectory(prefix="gpufleet-") as top:
            ours, theirs = _both(recording, same, Path(top), one_by_one)
        differing = [f"- {line}" for line in _first(theirs - ours)]
        differing += [f"+ {line}" for line in _first(ours - theirs)]
        yield recording, sorted(differing, key=lambda line: line[2:]), len(ours & theirs)


def _first(lines: set[str]) -> Iterator[str]:
    """Of a device that the other one lacks only its name: not all that it would have."""
    for line in lines:
        device = re.match(r"(device .+?): ", line)
        if device is None or device[1] not in lines:
            yield line


def _both(
    recording: Recording, same: list[Spec], top: Path, one_by_one: bool
) -> tuple[set[str], set[str]]:
    version = cdi_check.driver_version(recording.spec)
    assert version is not None, f"{recording.name} does not tell its driver"
    layout = Layout(top / "root")
    record = record_of(recording.machine, version)
    if record is not None:
        layout.replay(record)
        layout.add_sockets(same)
    else:
        layout.add(same)
    host, drm = host_of(same, version)
    volume = driver_volume.contents(top / "volumes", version, layout.root)
    driver_volume.create(top / "volumes", version, layout.root)
    wanted = (volume.files, ALL_CAPABILITIES)
    links = {} if one_by_one else library_links(*wanted)
    if one_by_one:
        files = mounts(str(volume.path), *wanted, "x86_64")
    else:
        files = few_mounts(str(volume.path), *wanted, "x86_64", _LINKS)
    files += tuple(
        FileMount(path, path) for path in driver_candidates.firmware(layout.root, version)
    )
    files += cdi_machine.sockets(ALL_CAPABILITIES, layout.root)
    around = Surroundings(version, nodes_of(same), drm, files)
    vendor, one = (recording.option(name) for name in ("vendor", "class"))
    kind = f"{(vendor or ['nvidia.com'])[0]}/{(one or ['gpu'])[0]}"
    chosen = recording.option("device-id")
    asked = ["all"] if chosen in ([], ["none"]) else chosen
    plan = plan_devices(host, asked, kind, ALL_CAPABILITIES, around)
    spec = cdi_reader.read_text(cdi.specification(plan))
    origins = _origins(volume, top)
    tree = driver_root.DriverRoot(layout.root)
    spec = _without_links(spec, str(volume.path), links)
    return set(_lines(spec, tree, origins)), set(_lines(recording.spec, tree, {}))


def _without_links(spec: Spec, volume: str, links: dict[str, str]) -> Spec:
    """Return a specification that mounts what the links in its directories lead to."""
    (place,) = {one.container_path for one in spec.common.mounts if one.host_path == volume} or {""}
    found = []
    for mount in spec.common.mounts:
        if mount.host_path == _LINKS:
            found += [
                replace(
                    mount,
                    host_path=target.replace(place, volume, 1),
                    container_path=f"{mount.container_path}/{name}",
                )
                for name, target in links.items()
            ]
        elif mount.host_path != volume:
            found.append(mount)
    return replace(spec, common=replace(spec.common, mounts=tuple(found)))


def _origins(volume: driver_volume.Contents, top: Path) -> dict[str, str]:
    """Return the host's file that each file of the volume is a hard link of."""
    inodes = {
        os.stat(path).st_ino: f"/{path.relative_to(top / 'root')}"
        for path in (top / "root").rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    found = {}
    for file in volume.files:
        path = volume.path / file.path
        found[str(path)] = inodes[os.stat(path).st_ino]
    return found


def _lines(spec: Spec, tree: driver_root.DriverRoot, origins: dict[str, str]) -> Iterator[str]:
    yield f"version {spec.version}"
    yield f"kind {spec.kind}"
    for where, edits in spec.all_edits():
        if where != "every device":
            yield where
        place = "" if where == "every device" else f"{where}: "
        for node in edits.nodes:
            numbers = f"{node.major or 0}:{node.minor or 0}"
            mode = f"{node.file_mode or 0:04o}"
            yield f"{place}node {node.path} {numbers} mode {mode} group {node.gid or 0}"
            yield f"permissions {node.permissions}"
        for group in edits.groups:
            yield f"{place}group {group}"
        for entry in edits.environment:
            yield f"{place}variable {entry}"
        for hook in edits.hooks:
            yield f"hook {hook_words(hook)[0]}"
        yield from _files(edits, tree, origins)


def _files(edits: Edits, tree: driver_root.DriverRoot, origins: dict[str, str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for mount in edits.mounts:
        origin = origins.get(mount.host_path) or tree.resolve(mount.host_path)
        seen[mount.container_path] = str(origin)
        yield f"options {','.join(sorted(mount.options))}"
    for path, target in links(edits).items():
        if not path.startswith("/dev/"):
            seen[path] = seen.get(_led_to(path, target), "")
    # A link may lead to a link that was made after it.
    for path, target in links(edits).items():
        if path in seen and not seen[path]:
            seen[path] = seen.get(_led_to(path, target), f"nothing ({target})")
    for path, origin in seen.items():
        yield f"file {_name(path)} is {origin}"


def _led_to(path: str, target: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(path), target))


def _name(path: str) -> str:
    name = _LIBRARY_DIRECTORY.sub("LIB/", path)
    return _PROGRAM_DIRECTORY.sub("BIN/", name)


def unexplained(table: tuple[Row, ...], recording: Recording, differing: list[str]) -> list[str]:
    """Return the lines that no row explains."""
    return [line for line in differing if not any(row.explains(recording, line) for row in table)]


def page(table: tuple[Row, ...], document: str) -> str:
    """Return the document with the table in it."""
    lines = ["| what | better | why |\n", "| --- | --- | --- |\n"]
    lines += [f"| {row.reason} | {row.better} | {row.why} |\n" for row in table]
    before, _start, rest = document.partition(_START)
    _old, _end, after = rest.partition(_END)
    return f"{before}{_START}{''.join(lines)}{_END}{after}"


def main(argv: list[str]) -> int:
    """Compare a folder and return the exit status."""
    table = rows()
    if argv == ["--page"]:
        PAGE.write_text(page(table, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    folder = Path(argv[0]) if argv else DEFAULT
    failed = 0
    used: set[str] = set()
    for recording, differing, equal in compare(folder):
        left = unexplained(table, recording, differing)
        failed += len(left)
        used |= {row.reason for row in table for line in differing if row.explains(recording, line)}
        explained = len(differing) - len(left)
        print(f"{recording.name:28} {equal:4} equal {explained:4} explained {len(left):4} not")
        for line in left:
            print(f"  {line}")
    for row in table if folder == DEFAULT else ():
        if row.reason not in used:
            print(f"a row of {TABLE.name} explains nothing: {row.reason}")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
