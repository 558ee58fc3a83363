# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases: which GPUs are promised to a container that is about to be made.

Each is a file that is gone when its container is made, or can't be. One that nobody deletes, as the
one who wrote it was killed, expires. They lie in /run and count the time since boot: the
machine's clock may be set meanwhile, and a restart ends whatever was being made.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import LeaseError
from ..format_number import refusal
from .durable import sync_directory

DIRECTORY = Path("/run/nvidia-docker/leases")
LIFETIME_SECONDS = 600
"""Docker has to stop the old container and to make the new one meanwhile."""
LOCK_SECONDS = 60
"""Whoever has the lock asks NVML and Docker, no more."""

FORMAT = 1
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LOCK = ".lock"
_SUFFIX = ".json"
_POLL_SECONDS = 0.05
_DIRECTORY_MODE, _FILE_MODE, _LOCK_MODE = 0o755, 0o644, 0o600


@dataclass(frozen=True)
class Lease:
    """GPUs that are promised to a container."""

    container: str
    uuids: tuple[str, ...]
    seconds_left: int


class Leases:
    """The leases of this machine. Each method raises LeaseError with what is wrong."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from choosing GPUs; the kernel ends it if this process is killed."""
        with self._reported("be locked"):
            self._prepare()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._directory / _LOCK, flags, _LOCK_MODE)
        try:
            with self._reported("be locked"):
                self._wait_for(descriptor)
                self._clean()
            yield
        finally:
            os.close(descriptor)

    def read(self) -> tuple[Lease, ...]:
        """Return the leases that have not expired; needs no lock."""
        with self._reported("be read"):
            found = [self._read(path) for path in self._files()]
        return tuple(lease for lease in found if lease is not None)

    def write(self, container: str, uuids: tuple[str, ...]) -> Path:
        """Promise GPUs to a container and return the file that is the lease; needs the lock.

        Older leases of the container that promise nothing more are ended: of a task whose end
        nobody saw, as it was asynchronous.
        """
        old = self._superseded(container, uuids)
        path = self._directory / f"{secrets.token_hex(8)}{_SUFFIX}"
        new = path.with_name(f".{path.name}")
        record = {
            "format": FORMAT,
            "container": container,
            "gpus": list(uuids),
            "boot": _boot(),
            "written": _seconds_since_boot(),
        }
        with self._reported("be written"):
            try:
                with new.open("x", encoding="utf-8") as stream:
                    os.fchmod(stream.fileno(), _FILE_MODE)
                    json.dump(record, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(new, path)
                sync_directory(self._directory)
            except OSError:
                with suppress(OSError):
                    os.unlink(new)
                raise
        for one in old:
            self.end(one)
        return path

    def end(self, lease: Path) -> None:
        """Delete a lease; one that is gone is fine."""
        with self._reported("be deleted"), suppress(FileNotFoundError):
            os.unlink(lease)

    def _superseded(self, container: str, uuids: tuple[str, ...]) -> list[Path]:
        with self._reported("be read"):
            found = [(path, self._read(path)) for path in self._files()]
        return [
            path
            for path, lease in found
            if lease and lease.container == container and set(lease.uuids) <= set(uuids)
        ]

    def _files(self) -> list[Path]:
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        return [
            self._directory / name
            for name in names
            if name.endswith(_SUFFIX) and not name.startswith(".")
        ]

    def _read(self, path: Path) -> Lease | None:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["format"] != FORMAT:
                or_else = "delete it if no play runs"
                raise LeaseError(refusal(str(path), told["format"], FORMAT, or_else))
            if not isinstance(told["gpus"], list):
                raise TypeError
            age = _seconds_since_boot() - float(told["written"])
            lease = Lease(
                str(told["container"]),
                tuple(str(uuid) for uuid in told["gpus"]),
                int(LIFETIME_SECONDS - age),
            )
            boot = told["boot"]
        except FileNotFoundError:  # it ended meanwhile
            return None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise LeaseError(f"{path} is no lease: delete it if no play runs") from None
        return lease if boot == _boot() and 0 <= age < LIFETIME_SECONDS else None

    def _prepare(self) -> None:
        for path in (self._directory.parent, self._directory):
            with suppress(FileExistsError):
                os.mkdir(path)
                os.chmod(path, _DIRECTORY_MODE)
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                raise LeaseError(f"{path} must be a directory and no symbolic link")
            if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
                raise LeaseError(
                    f"{path} can be written by others than root (owner {status.st_uid}, mode "
                    f"{stat.S_IMODE(status.st_mode):04o}): they could promise GPUs to themselves"
                )

    def _wait_for(self, descriptor: int) -> None:
        limit = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise LeaseError(
                        f"another task has been choosing GPUs for {LOCK_SECONDS} s: see with "
                        f"'fuser {self._directory / _LOCK}' which process that is"
                    ) from None
                time.sleep(_POLL_SECONDS)

    def _clean(self) -> None:
        """Delete expired leases and what killed writers left."""
        for path in self._files():
            if self._read(path) is None:
                self.end(path)
        for name in os.listdir(self._directory):
            if name.startswith(".") and name.endswith(_SUFFIX):
                self.end(self._directory / name)

    @contextmanager
    def _reported(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = ": run the task with become" if isinstance(error, PermissionError) else ""
            raise LeaseError(
                f"leases of GPUs in {self._directory} can't {doing}: {error.strerror}{hint}"
            ) from error


def _boot() -> str:
    return _BOOT.read_text().strip()


def _seconds_since_boot() -> float:
    """Also those in which the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
