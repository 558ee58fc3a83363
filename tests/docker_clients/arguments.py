# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments for docker, as people write them and as nobody does.

Not hypothesis: a start of docker is dear, and it would spend them on lists that are almost alike.
"""

from __future__ import annotations

import random

FREE = ["x", "run", "create", "--rm", "-it", "--", "-", "", "a=b", "=", "é", "img", "false", "a b"]
"""Values of options that take any text: what misleads a parser."""

BOOLEANS = """
    init interactive oom-kill-disable privileged publish-all read-only rm tty no-healthcheck
""".split()
LETTERS = "itP"
ANY_TEXT = """
    cgroup-parent domainname entrypoint health-cmd hostname,h log-driver name runtime user,u
    volume-driver workdir,w
""".split()
VALID = {
    "add-host": "h:10.0.0.1",
    "annotation": "a=b",
    "attach,a": "stderr",
    "blkio-weight": "100",
    "blkio-weight-device": "/dev/sda:100",
    "cap-add": "NET_ADMIN",
    "cap-drop": "ALL",
    "cgroupns": "private",
    "cpu-period": "1000",
    "cpu-quota": "-1",
    "cpu-shares,c": "5",
    "cpus": "1.5",
    "cpuset-cpus": "0-3",
    "device": "/dev/fuse",
    "device-cgroup-rule": "c 1:3 mr",
    "device-read-bps": "/dev/sda:1mb",
    "device-write-iops": "/dev/sda:100",
    "dns": "10.0.0.2",
    "dns-opt": "ndots:1",
    "dns-option": "ndots:2",
    "dns-search": "example.org",
    "env,e": "A=B",
    "expose": "80",
    "gpus": "all",
    "group-add": "video",
    "health-interval": "5s",
    "health-retries": "3",
    "health-start-interval": "5s",
    "ipc": "host",
    "kernel-memory": "4m",
    "label,l": "a=b",
    "link": "other:alias",
    "log-opt": "a=b",
    "mac-address": "92:d0:c6:0a:29:33",
    "memory,m": "512m",
    "memory-swap": "-1",
    "memory-swappiness": "10",
    "mount": "type=tmpfs,target=/m",
    "net": "host",
    "network": "host",
    "oom-score-adj": "-500",
    "pid": "host",
    "pids-limit": "-1",
    "platform": "linux/amd64",
    "publish,p": "8080:80",
    "pull": "never",
    "restart": "no",
    "security-opt": "label=disable",
    "shm-size": "1g",
    "stop-signal": "TERM",
    "stop-timeout": "3",
    "storage-opt": "size=1G",
    "sysctl": "a=b",
    "tmpfs": "/t",
    "ulimit": "nofile=1:1",
    "userns": "host",
    "uts": "host",
    "volume,v": "/a:/b",
    "volumes-from": "other",
}
RUN_ONLY = [["-d"], ["-dti"], ["--detach=true"], ["-dv/a:/b"], ["--detach-keys", "ctrl-a"]]
RUN_ONLY += [["--sig-proxy=false"], ["-ditv=/a:/b"], ["-dp", "80:80"], ["--sig-proxy", "-du0"]]
COMMANDS = ["run"] * 4 + ["create"] * 4 + ["container run", "container create"] * 2
COMMANDS += ["container -h run", "container --help=1 create", "container -- x run", "container"]
IMAGES = ["cuda:12", "r.io/a/b", "run", "create", "false", "cuda@sha256:" + "0" * 64]
NO_IMAGES = ["", "-", "UP"]
UNKNOWN = [
    "--quiet",
    "-tq",
    "--disable-content-trust",
    "--use-api-socket",
    "--shiny",
    "-z",
    "--shiny=1",
    "-itz",
    "---x",
    "-t=",
    "--rm=maybe",
    "--bogus-flag",
]


def _written(word: str, value: str) -> list[list[str]]:
    """Return every way to write an option with this value."""
    name, _dummy, letter = word.partition(",")
    ways = [[f"--{name}", value], [f"--{name}={value}"]]
    if letter:
        ways += [[f"-{letter}", value], [f"-{letter}={value}"], [f"-it{letter}", value]]
        ways += [[f"-{letter}{value}"], [f"-i{letter}{value}"]] if value else []
    return ways


_LETTERED = {word: value for word, value in VALID.items() if "," in word}


def _option(dice: random.Random) -> list[str]:
    kind = dice.randrange(6)
    if kind == 0:
        return dice.choice(_written(*dice.choice(sorted(VALID.items()))))
    if kind in (1, 2):
        return dice.choice(_written(*dice.choice(sorted(_LETTERED.items()))))
    if kind == 3:
        return dice.choice(_written(dice.choice(ANY_TEXT), dice.choice(FREE)))
    if kind == 4:
        return [f"--{dice.choice(BOOLEANS)}{dice.choice(['', '', '=true', '=false', '=1', '=F'])}"]
    return ["-" + "".join(dice.choices(LETTERS, k=dice.randint(1, 4)))]


def _global(dice: random.Random, address: str, config: str) -> list[str]:
    words = """-D|--debug=false|-l info|-lwarn|-Dl info|--log-level=error|--tls=false|--help|-h
        |--version|-v|--config C|-H A|-HA|--host=A|-DHA"""
    way = dice.choice(words.split("|")).replace("A", address).replace("C", config)
    return way.split()


def command_line(dice: random.Random, address: str, config: str) -> list[str]:
    """Return the words of a run or create for the engine at ``address``."""
    words: list[str] = []
    if not dice.randrange(2):
        for _number in range(dice.randint(0, 2)):
            words += _global(dice, address, config)
        words += dice.choice([[], [], ["--"], ["--", "-D"], ["--", "-l", "info"]])
    words += dice.choice(COMMANDS).split()
    if words[-1] == "run" and not dice.randrange(3):
        words += dice.choice(RUN_ONLY)
    for _number in range(dice.randint(0, 5)):
        words += _option(dice)
    if not dice.randrange(12):
        words.append(dice.choice(UNKNOWN))
        words += _option(dice)
    words += dice.choice([[], [], [], ["--"]])
    words.append(dice.choice(IMAGES if dice.randrange(8) else NO_IMAGES))
    return words + dice.choices(FREE, k=dice.randint(0, 2))
