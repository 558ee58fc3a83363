# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""snapshot.py take FILE | compare FILE: runs on a test host; is it again what it was?

Every file, folder, link, node and socket of the host with type, mode, owner and content, its
mounts, units, packages and users. `compare` prints what differs, one line each, and fails if
something does.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

MINE = Path("/var/lib/misc")
"""Where snapshots are kept; see OTHERS."""
OTHERS = (
    # What the kernel, systemd and this host's own container make.
    "/proc /sys /dev/pts /dev/shm /dev/mqueue /dev/hugepages /run/systemd /run/udev /run/user"
    " /run/credentials /run/mount /run/log /run/lock /run/utmp /run/dbus /run/motd.d /.dockerenv"
    " /run/simulated-gpu/sys-module /run/simulated-gpu/proc-driver"
    # Records of what was done, and caches.
    " /tmp /var/tmp /var/log /var/cache /var/backups /var/lib/apt /var/lib/dpkg /var/lib/systemd"
    " /var/lib/misc /root/.ansible /root/.bash_history /etc/ld.so.cache"
    # useradd's, userdel's and apt's copies of the last content.
    " /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-"
    # Images and containers, which are the user's: uninstalling an engine keeps them. What it has in
    # /run goes with a restart.
    " /var/lib/docker /var/lib/containerd /var/lib/containers /run/containers /run/libpod /run/crun"
    " /run/netns /run/containerd /run/docker /run/docker.pid /run/adduser"
).split()
COMMANDS = {
    "unit": ["systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain"],
    "failed unit": ["systemctl", "list-units", "--failed", "--no-legend", "--no-pager", "--plain"],
    "package": ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${binary:Package} ${Version}\n"],
    "user": ["getent", "passwd"],
    "group": ["getent", "group"],
}
SMALL = 4 << 20
"""Bytes up to which the content of a file is looked at; the driver's libraries are smaller."""


def take() -> dict[str, str]:
    """What the host has: a line for each thing, by its name."""
    found = {}
    for folder, names, files in os.walk("/"):
        for name in (*names, *files):
            path = os.path.join(folder, name)
            if path not in OTHERS:
                found[path] = described(path)
        kept = [name for name in names if os.path.join(folder, name) not in OTHERS]
        names[:] = [name for name in kept if name != "__pycache__"]
    for kind, command in COMMANDS.items():
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found |= {f"{kind} {' '.join(line.split())}": "there" for line in said.splitlines()}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, place, kind = line.split(" ")[:3]
        if not any(place.startswith(other + "/") for other in OTHERS):
            found[f"mount {kind} {source} {place}"] = "there"
    return found


def described(path: str) -> str:
    """Type, mode and owner, and what there is to tell of the content."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return "gone meanwhile"
    text = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if stat.S_ISLNK(status.st_mode):
        return f"{text} -> {os.readlink(path)}"
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return f"{text} {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if stat.S_ISREG(status.st_mode):
        text += f" {status.st_size}"
        if status.st_size <= SMALL and not path.startswith("/usr/share/"):
            text += f" {digest(path)}"
    return text


def digest(path: str) -> str:
    """The content in short; files of the kernel may refuse to tell."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        return str(error.strerror)


def main(verb: str, name: str) -> int:
    """Take a snapshot, or print what differs from it."""
    now, file = take(), MINE / name
    if verb == "take":
        file.write_text(json.dumps(now))
        return 0
    before = json.loads(file.read_text())
    missing = "not there"
    differ = [
        f"{one}: was {before.get(one, missing)}, is {now.get(one, missing)}"
        for one in sorted(now.keys() | before.keys())
        if before.get(one) != now.get(one)
    ]
    print("\n".join(differ))
    return 1 if differ else 0


sys.exit(main(*sys.argv[1:]))
