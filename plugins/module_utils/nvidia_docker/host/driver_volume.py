# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver volume: the driver files of one version, for containers to mount.

What exists is trusted only as far as its manifest, the tree and this machine's driver files agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..driver_files import ALL_CAPABILITIES, DriverCapability, with_implied
from ..driver_mounts import VolumeFile
from ..errors import DriverFilesError, DriverVolumeError, InvalidInput, UnfinishedUpgrade
from . import manifest as manifests
from . import volume_store as store
from .driver_candidates import Candidate, candidates, version_of
from .driver_choice import Choice, choose
from .manifest import Manifest
from .volume_builder import build, put_in_place
from .volume_check import damages, differences, line, tree


@dataclass(frozen=True)
class Wanted:
    """What a volume is to hold, and how."""

    capabilities: frozenset[DriverCapability] | None = None
    """``None``: those that the existing volume has, all for a new one."""
    hard_links_only: bool = False
    """Refuse to copy."""

    @classmethod
    def of(cls, capabilities: Iterable[str], link: str) -> Wanted:
        """Read an option's words: driver capabilities or ``all``; ``auto`` or ``hard``.

        Raises InvalidInput for another word.
        """
        known = {one.value: frozenset({one}) for one in DriverCapability}
        known["all"] = ALL_CAPABILITIES
        wanted: frozenset[DriverCapability] = frozenset()
        for word in capabilities:
            if word not in known:
                raise InvalidInput(
                    f"unknown driver capability {word!r}: known are {', '.join(known)}"
                )
            wanted |= known[word]
        return cls(wanted, link == "hard")


@dataclass(frozen=True)
class Comparison:
    """A driver volume as it is and as it has to be."""

    path: Path
    differences: tuple[str, ...]
    """Why it has to be made (again); empty if it is right."""
    before: tuple[str, ...]
    """One line per file and symbolic link."""
    after: tuple[str, ...]
    files: tuple[str, ...]
    """As it has to be: relative paths, sorted."""
    link: str | None
    """``hard``, ``reflink``, ``copy`` or ``mixed``; ``None`` if it has to be made."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """A driver volume that is right."""

    changed: bool
    path: Path
    files: tuple[str, ...]
    """Relative paths of files and symbolic links, sorted."""
    link: str | None
    """``hard``, ``reflink``, ``copy``, or ``mixed`` if only some files could be linked."""
    warnings: tuple[str, ...]


def installed_version(driver_root: Path, loaded: str | None) -> str:
    """Return the version of this machine's driver files, as their names say.

    ``loaded`` is that of the loaded kernel module, ``None`` if none is. Raises DriverFilesError if
    there are no files, UnfinishedUpgrade if the module is another driver's.
    """
    version = version_of(candidates(driver_root))
    if version is None:
        raise DriverFilesError(
            f"found no NVIDIA driver in {driver_root}: no 64-bit libnvidia-ml.so.<version> or "
            "libcuda.so.<version> is there; install the driver's libraries and run ldconfig"
        )
    if loaded is not None and version != loaded:
        raise UnfinishedUpgrade(
            f"the driver files are of version {version}, but the loaded kernel module is "
            f"{loaded}: reboot, or reload the module, to finish the upgrade"
        )
    return version


def compare(
    root: Path, version: str, driver_root: Path = Path("/"), wanted: Wanted | None = None
) -> Comparison:
    """Return how the volume of this driver version differs from what it has to be; writes nothing.

    A volume that is right costs stat calls only, no driver file is opened. Raises InvalidInput for
    a bad version or root, DriverFilesError if this machine hasn't this driver's files.
    """
    path = store.directory(root, version)
    with store.reported(f"verify the driver volume {path}"):
        return _compare(path, version, driver_root, wanted or Wanted()).comparison


def create(
    root: Path, version: str, driver_root: Path = Path("/"), wanted: Wanted | None = None
) -> Made:
    """Make the volume of this driver version, or make it again if it is not right.

    Several processes may do so at once. Raises as ``compare`` does, and DriverVolumeError if it
    can't be written; then what was there before is still there.
    """
    wanted = wanted or Wanted()
    path = store.directory(root, version)
    with store.reported(f"make the driver volume {path}"):
        looked = _compare(path, version, driver_root, wanted)
        if looked.choice is None and not store.leftovers(path.parent, version):
            store.refuse_unsafe(path.parent)
            return _made(looked.comparison)
        store.prepare(path.parent)
        with store.locked(path.parent, version):
            looked = _compare(path, version, driver_root, wanted, looked)
            if looked.choice is None:
                return _made(looked.comparison)
            built = store.beside(path.parent, version)
            os.mkdir(built)
            try:
                manifest = build(
                    built,
                    driver_root,
                    looked.found,
                    looked.choice,
                    version,
                    looked.capabilities,
                    wanted.hard_links_only,
                )
                changed = damages(built, manifest, version)
                if changed:
                    raise DriverVolumeError(
                        f"can't make the driver volume {path}: while it was made, "
                        f"{'; '.join(changed)}; try again"
                    )
                put_in_place(built, path)
            finally:
                store.delete(built)
    return Made(True, path, manifest.paths, manifest.link, manifest.warnings)


def unfit(root: Path, version: str) -> tuple[str, ...]:
    """Return why a volume can't be given to containers; empty if it can.

    It can if it is what its manifest says, whatever driver files this machine has by now: after an
    upgrade of the packages the loaded driver is the old one until the reboot. Raises UnknownVolume.
    """
    path = store.mount_point(root, version)
    with store.reported(f"verify the driver volume {path}"):
        manifest, reason = _manifest(path)
        return (reason,) if manifest is None else damages(path, manifest, version)


def content(root: Path, version: str) -> tuple[Path, tuple[str, ...] | None]:
    """Return a volume's directory and, if it exists, its lines as in ``Comparison.before``."""
    path = store.directory(root, version)
    if not os.path.lexists(path):
        return path, None
    with store.reported(f"look at the driver volume {path}"):
        try:
            manifest = _manifest(path)[0]
        except manifests.NewerVolume:  # to be removed, maybe
            manifest = None
        return path, tree(path, manifest)


@dataclass(frozen=True)
class Contents:
    """What a driver volume has, or would have if it were made now."""

    path: Path
    files: tuple[VolumeFile, ...]
    capabilities: frozenset[DriverCapability]
    differences: tuple[str, ...]
    """Why the volume has to be made (again) first; empty if it is right."""
    warnings: tuple[str, ...]


def contents(root: Path, version: str, driver_root: Path = Path("/")) -> Contents:
    """Return what is in the volume of this driver version once it is right; writes nothing.

    Raises as ``compare`` does.
    """
    path = store.directory(root, version)
    with store.reported(f"look at the driver volume {path}"):
        looked = _compare(path, version, driver_root, Wanted())
        if looked.choice is not None:
            files, symlinks = looked.choice.files, looked.choice.symlinks
        else:
            right = manifests.read(path)
            files = tuple(record.candidate for record in right.files)
            symlinks = right.symlinks
    links: dict[str, list[str]] = {}
    for name, target in symlinks:
        directory, _slash, link = name.rpartition("/")
        links.setdefault(f"{directory}/{target}", []).append(link)
    return Contents(
        path,
        tuple(VolumeFile(c.path, c.catalogue_name, tuple(links.get(c.path, ()))) for c in files),
        looked.capabilities,
        looked.comparison.differences,
        looked.comparison.warnings,
    )


@dataclass(frozen=True)
class _Look:
    """A comparison and what it is based on."""

    comparison: Comparison
    found: tuple[Candidate, ...]
    capabilities: frozenset[DriverCapability]
    choice: Choice | None
    """``None`` if the volume is right."""


def _compare(
    path: Path, version: str, driver_root: Path, wanted: Wanted, earlier: _Look | None = None
) -> _Look:
    """Look at volume and driver; the same candidates as ``earlier`` are not opened again."""
    found = candidates(driver_root)
    manifest, reason = _manifest(path)
    before = tree(path, manifest)
    capabilities = _capabilities(wanted, manifest)
    if manifest is None:
        reasons: tuple[str, ...] = (reason,)
    else:
        reasons = differences(path, manifest, found, driver_root, version)
        reasons += _unlike(wanted, capabilities, manifest)
        if not reasons:
            right = Comparison(
                path, (), before, before, manifest.paths, manifest.link, manifest.warnings
            )
            return _Look(right, found, capabilities, None)
    choice = None
    if earlier is not None and (earlier.found, earlier.capabilities) == (found, capabilities):
        choice = earlier.choice
    if choice is None:
        choice = choose(driver_root, found, version, capabilities)
    after = [line(c.path, c.inode, c.size) for c in choice.files]
    after += [f"{name} -> {target}" for name, target in choice.symlinks]
    files = tuple(
        sorted([c.path for c in choice.files] + [name for name, _target in choice.symlinks])
    )
    other = Comparison(path, reasons, before, tuple(sorted(after)), files, None, choice.warnings)
    return _Look(other, found, capabilities, choice)


def _capabilities(wanted: Wanted, manifest: Manifest | None) -> frozenset[DriverCapability]:
    if wanted.capabilities is not None:
        return with_implied(wanted.capabilities)
    return ALL_CAPABILITIES if manifest is None else manifest.capabilities


def _unlike(
    wanted: Wanted, capabilities: frozenset[DriverCapability], manifest: Manifest
) -> tuple[str, ...]:
    """Return where the volume is not what is asked for, though it is right."""
    reasons = []
    if capabilities != manifest.capabilities:
        had, gets = (
            ", ".join(sorted(c.value for c in one)) for one in (manifest.capabilities, capabilities)
        )
        reasons.append(f"it is for {had}, asked for is {gets}")
    if wanted.hard_links_only and manifest.link != "hard":
        reasons.append(f"its files came by {manifest.link}, asked for are hard links")
    return tuple(reasons)


def _manifest(path: Path) -> tuple[Manifest | None, str]:
    """Return a volume's manifest, or why there is none to be trusted."""
    if not os.path.lexists(path):
        return None, "it does not exist"
    try:
        return manifests.read(path), ""
    except ValueError as error:
        return None, str(error)


def _made(right: Comparison) -> Made:
    return Made(False, right.path, right.files, right.link, right.warnings)
