# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for two programs of the NVIDIA Container Toolkit on a test host, by the name it has.

nvidia-container-runtime: runc, after it has put the hook into the container's config.json.
nvidia-container-runtime-hook: gives a container that asks for GPUs their device nodes, permission
in the container's device cgroup, and the driver's files. The container is made already then, as it
is with NVIDIA's: neither Docker nor systemd ever hears of these devices.

A container asks with NVIDIA_VISIBLE_DEVICES, or as a task of Swarm with DOCKER_RESOURCE_NVIDIA-GPU;
that is swarm-resource = "DOCKER_RESOURCE_NVIDIA-GPU" in NVIDIA's config.toml.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

HOOK = "/usr/local/bin/nvidia-container-runtime-hook"
ASKS = ("DOCKER_RESOURCE_NVIDIA-GPU", "NVIDIA_VISIBLE_DEVICES")
NONE = ("", "none", "void")
PLUGIN = "http://127.0.0.1:3476/docker/cli"

# Of bpf(2), linux/bpf.h.
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
PROG_DETACH, PROG_GET_FD_BY_ID, PROG_QUERY = 9, 13, 16
CGROUP_DEVICE = 6


def asked(config: dict) -> str:
    """Return the GPUs that a container asks for, "" for none."""
    given = dict(one.split("=", 1) for one in config["process"]["env"] if "=" in one)
    gpus = next((given[name] for name in ASKS if name in given), "")
    return "" if gpus in NONE else gpus


def put_hook(bundle: pathlib.Path) -> None:
    file = bundle / "config.json"
    config = json.loads(file.read_text())
    if asked(config):
        hooks = config.setdefault("hooks", {}).setdefault("prestart", [])
        hooks.append({"path": HOOK, "args": [HOOK, "prestart"]})
        file.write_text(json.dumps(config))


def nodes(gpus: str) -> list[str]:
    """Return the device nodes of the host for these GPUs."""
    query = "" if gpus == "all" else "?dev=" + gpus.replace(",", "+")
    with urllib.request.urlopen(PLUGIN + query) as answer:
        return re.findall(r"--device=(\S+)", answer.read().decode())


def files() -> list[str]:
    """Return the driver's files that a container needs to list its GPUs."""
    version = pathlib.Path("/sys/module/nvidia/version").read_text().strip()
    names = ("libnvidia-ml", "libcuda")
    found = [
        one for name in names for one in glob.glob(f"/usr/lib/*-linux-gnu/{name}.so.{version}")
    ]
    return [*found, "/usr/bin/nvidia-smi"]


def put_files(rootfs: pathlib.Path, paths: list[str], devices: list[str]) -> None:
    """In the container's mount namespace, before it has a root of its own."""
    for path in paths:
        inside = rootfs / path[1:]
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.touch()
        subprocess.run(["mount", "--bind", path, str(inside)], check=True)
        soname = re.sub(r"\.so\..*", ".so.1", inside.name)
        link = inside.with_name(soname)
        if soname != inside.name:
            # That of another driver may be there from an earlier start.
            link.unlink(missing_ok=True)
            link.symlink_to(inside.name)
    for path in devices:
        inside = rootfs / path[1:]
        inside.parent.mkdir(parents=True, exist_ok=True)
        if not inside.exists():
            os.mknod(inside, 0o20666, os.stat(path).st_rdev)
            inside.chmod(0o666)


def allow(pid: int, devices: list[str]) -> None:
    """In the container's device cgroup, behind the back of the engine and of systemd."""
    lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    places = dict(line.split(":", 2)[1:] for line in lines)
    if os.path.isdir("/sys/fs/cgroup/devices"):
        for path in devices:
            number = os.stat(path).st_rdev
            rule = f"c {os.major(number)}:{os.minor(number)} rw"
            pathlib.Path(f"/sys/fs/cgroup/devices{places['devices']}/devices.allow").write_text(
                rule
            )
    else:
        detach_programs(f"/sys/fs/cgroup{places['']}")


def detach_programs(cgroup: str) -> None:
    """Take away what filters devices. NVIDIA's puts a program there that allows some more."""
    libc = ctypes.CDLL(None, use_errno=True)

    def bpf(command: int, attributes: ctypes.Array) -> int:
        number = BPF_SYSCALL[os.uname().machine]
        result = libc.syscall(number, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
        if result < 0:
            raise OSError(ctypes.get_errno(), f"bpf command {command}")
        return result

    folder = os.open(cgroup, os.O_RDONLY)
    identifiers = (ctypes.c_uint32 * 64)()
    # target_fd, attach_type, query_flags, attach_flags, prog_ids (64 bit), prog_cnt
    query = (ctypes.c_uint32 * 16)(folder, CGROUP_DEVICE)
    address = ctypes.addressof(identifiers)
    query[4], query[5], query[6] = address & 0xFFFFFFFF, address >> 32, len(identifiers)
    bpf(PROG_QUERY, query)
    for identifier in identifiers[: query[6]]:
        program = bpf(PROG_GET_FD_BY_ID, (ctypes.c_uint32 * 4)(identifier))
        bpf(PROG_DETACH, (ctypes.c_uint32 * 4)(folder, program, CGROUP_DEVICE))


def hook() -> None:
    state = json.load(sys.stdin)
    bundle = pathlib.Path(state["bundle"])
    config = json.loads((bundle / "config.json").read_text())
    gpus = asked(config)
    if not gpus:
        return
    devices = nodes(gpus)
    allow(state["pid"], devices)
    rootfs = bundle / config["root"]["path"]
    enter = [
        "nsenter",
        f"--target={state['pid']}",
        "--mount",
        "--",
        sys.executable,
        __file__,
        "put",
    ]
    subprocess.run([*enter, str(rootfs), json.dumps(files()), json.dumps(devices)], check=True)


def main(program: str, arguments: list[str]) -> None:
    if program.endswith("-hook"):
        if arguments[:1] == ["prestart"]:
            hook()
        elif arguments[:1] == ["put"]:
            put_files(pathlib.Path(arguments[1]), *map(json.loads, arguments[2:]))
        return
    if "create" in arguments and "--bundle" in arguments:
        put_hook(pathlib.Path(arguments[arguments.index("--bundle") + 1]))
    os.execvp("runc", ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[0], sys.argv[1:])
