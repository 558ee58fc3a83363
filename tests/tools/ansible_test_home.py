# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a home directory for ansible-test in .build and print its path.

ansible-test fetches pip with a script from the internet and hides the environment from pip. In
this home a script of ours takes the pip that Python carries, and pip's settings (index, proxy)
are written down from those of this user.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from ansible_test._internal import python_requirements

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".build" / "ansible-test"
GET_PIP = """\
import os, subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
# ensurepip has pointed this at nothing.
os.environ.pop("PIP_CONFIG_FILE", None)
wanted = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"] + wanted)
"""


def pip_settings() -> dict[str, str]:
    """The pip settings of this user, from files and environment, by option name."""
    # That of .venv: the environment that this runs in may have no pip.
    listed = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-m", "pip", "config", "list"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    settings = {name.replace("_", "-"): value for name, value in found}
    proxies = urllib.request.getproxies()
    if "https" in proxies:
        settings.setdefault("proxy", proxies["https"])
    settings.pop("config-file", None)
    return settings


def main() -> int:
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    versions = re.findall(r"\bpip='([\d.]+)'", Path(python_requirements.__file__).read_text())
    for version in versions:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP)
    settings = configparser.RawConfigParser()
    settings["global"] = pip_settings()
    (HOME / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    with open(HOME / ".config" / "pip" / "pip.conf", "w") as file:
        settings.write(file)
    print(HOME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
