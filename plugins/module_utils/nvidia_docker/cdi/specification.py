# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From options to a specification that is written: for module nvidia_cdi and the program alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import cdi_versions
from ..cdi_plan import VERSION_VARIABLE, limited
from ..cdi_reader import check_kind, read_text
from ..cdi_spec import GPU_KIND, Spec
from ..errors import CdiError
from ..host import (
    cdi_check,
    cdi_engines,
    cdi_generator,
    cdi_links,
    cdi_store,
    discovery,
    driver_volume,
    kernel,
    volume_store,
)
from ..model import Host
from ..render import cdi

ALL = ("all",)


@dataclass(frozen=True)
class Options:
    """What a specification is to be of, and where it is."""

    path: str = cdi_store.DEFAULT_PATH
    devices: tuple[str, ...] = ALL
    kind: str = GPU_KIND
    capabilities: tuple[str, ...] = ALL
    """Driver capabilities, or ``all``: those that the driver volume has files for."""
    cdi_version: str | None = None
    """``None``: the lowest that is enough."""
    toolkit_hooks: bool = False
    spec_directories: tuple[str, ...] = cdi_store.DIRECTORIES
    volumes_path: str = volume_store.VOLUMES_ROOT
    driver_root: str = "/"

    def asked(self) -> cdi_generator.Asked:
        """Return them as the generator takes them. Raises InvalidInput or CdiError."""
        check_kind(self.kind)
        if self.cdi_version is not None:
            cdi_versions.check(self.cdi_version)
        return cdi_generator.Asked(
            kind=self.kind,
            identifiers=self.devices,
            capabilities=driver_volume.Wanted.of(self.capabilities, "auto").capabilities
            or frozenset(),
            toolkit_hooks=self.toolkit_hooks,
            # One that outlives a reboot must not name what does not.
            links=None if cdi_links.outlives(Path(self.path)) else cdi_links.ROOT,
        )


@dataclass(frozen=True)
class Prepared:
    """A specification as this machine gives it, beside what is in its place."""

    path: Path
    before: str | None
    """Text of ours that is there."""
    text: str
    spec: Spec
    made: cdi_generator.Made
    engines: tuple[cdi_versions.InstalledEngine, ...]
    asked_engines: cdi_engines.Asked
    dropped: tuple[str, ...]
    """What its CDI version makes it lack."""
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return (
            bool(self.made.volume.differences)
            or not _links_are_right(self.made)
            or self.text != self.before
        )


def prepare(options: Options) -> Prepared:
    """Look at this machine and return what is to be written; writes nothing.

    Raises NvidiaDockerError, CdiError where engines would not use what is to be written.
    """
    path = cdi_store.check_path(options.path)
    before = cdi_store.ours(path)
    asked = options.asked()
    asked_engines = cdi_engines.Asked()
    host = discovery.discover()
    engines = asked_engines.installed()
    made, text, dropped = _make(options, asked, host, engines)
    spec = read_text(text)
    refused = cdi_versions.refusals(spec.version, engines)
    refused += cdi_store.conflicts(spec, path, options.spec_directories)
    if refused:
        raise CdiError(f"can't write {path}: {'; '.join(refused)}")
    warnings = (
        *map(str, made.plan.left_out),
        *(f"left out: {one}" for one in dropped if not options.cdi_version),
        *cdi_store.doubts(path, options.spec_directories),
    )
    return Prepared(path, before, text, spec, made, engines, asked_engines, dropped, warnings)


def write(prepared: Prepared, options: Options) -> None:
    """Make driver volume and links right, then put the specification in place. Raises
    NvidiaDockerError; the specification that was there is still there then."""
    volume = prepared.made.volume
    if volume.differences:
        driver_volume.create(
            Path(options.volumes_path), prepared.made.version, Path(options.driver_root)
        )
    volume_store.refuse_unsafe(volume.path.parent)
    if prepared.made.links_directory is not None:
        cdi_links.make(prepared.made.links_directory, prepared.made.links)
    if prepared.text != prepared.before:
        cdi_store.write(prepared.path, prepared.text)
    prepared.asked_engines.remember()


def is_of_loaded_driver(options: Options) -> bool:
    """Whether the specification that is there is ours and for the kernel module that is loaded.

    Between an upgrade of the driver's packages and the reboot it is true, and none can be made.
    """
    path = cdi_store.check_path(options.path)
    if cdi_store.ours(path) is None:
        return False
    loaded = kernel.module_version(Path("/"))
    return loaded is not None and cdi_store.load(path).variable(VERSION_VARIABLE) == loaded


@dataclass(frozen=True)
class Verified:
    """A specification, whoever wrote it, beside this machine."""

    spec: Spec
    engines: tuple[cdi_versions.InstalledEngine, ...]
    problems: tuple[str, ...]
    """One sentence each."""


def verify(options: Options) -> Verified:
    """Return what is not true of the specification that is there. Raises NvidiaDockerError."""
    path = Path(options.path)
    spec = cdi_store.load(path)
    asked_engines = cdi_engines.Asked()
    host = discovery.discover()
    engines = asked_engines.installed()
    problems = tuple(cdi_check.problems(spec, host, options.devices, engines))
    problems += cdi_store.conflicts(spec, path, options.spec_directories)
    if not problems and spec.variable(VERSION_VARIABLE) is not None:
        made, text, _dropped = _make(options, options.asked(), host, engines)
        problems += tuple(
            f"the driver volume {made.volume.path} is not right: {one}"
            for one in made.volume.differences
        )
        if not _links_are_right(made):
            problems += (f"the links in {made.links_directory} are not right",)
        problems += cdi_check.differences(spec, read_text(text))
    return Verified(spec, engines, problems)


def _links_are_right(made: cdi_generator.Made) -> bool:
    directory = made.links_directory
    return directory is None or cdi_links.are_right(directory, made.links)


def _make(
    options: Options,
    asked: cdi_generator.Asked,
    host: Host,
    engines: Iterable[cdi_versions.InstalledEngine],
) -> tuple[cdi_generator.Made, str, tuple[str, ...]]:
    """Return what is to be written, and what the CDI version makes it lack."""
    made = cdi_generator.make(host, asked, Path(options.volumes_path), Path(options.driver_root))
    most = options.cdi_version or cdi_versions.highest_of(tuple(engines))
    plan, dropped = (made.plan, ()) if most is None else limited(made.plan, most)
    return made, cdi.specification(plan, options.cdi_version), dropped
