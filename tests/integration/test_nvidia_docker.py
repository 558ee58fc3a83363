# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command on the demo host with newer docker clients than the host's own, and its completion.

The clients are those of DOCKER_CLIENTS (paths, separated by colons), by default this machine's own;
Molecule types the same lines with the clients of its hosts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

HOSTS = Path(__file__).resolve().parents[1] / "hosts"
TYPED = yaml.safe_load((HOSTS / "nvidia_docker.yml").read_text())
CLIENTS = os.environ.get("DOCKER_CLIENTS") or os.path.realpath(shutil.which("docker") or "")
ON_HOST = "/opt/docker-client"
COMPLETION = "/usr/share/bash-completion/completions/docker"


@pytest.fixture(scope="module", params=CLIENTS.split(":"))
def client(request, host, on_host) -> Iterator[str]:
    """Another client than the host's own, as a path on the host."""
    subprocess.run(["docker", "cp", request.param, f"{host}:{ON_HOST}"], check=True)
    try:
        version = on_host(f"{ON_HOST} --version", ok=False)
        if "DOCKER_CLIENTS" not in os.environ:
            if version.returncode != 0:
                pytest.skip(f"{request.param} does not run on the host: name one in DOCKER_CLIENTS")
            if version.stdout == on_host("docker --version").stdout:
                pytest.skip("this machine's client is the host's: name others in DOCKER_CLIENTS")
        assert version.returncode == 0, version.stderr
        yield ON_HOST
    finally:
        on_host(f"rm -f {ON_HOST}")


@pytest.fixture(scope="module")
def images(on_host) -> dict[str, str]:
    """The images of the lines, by the variable that names them."""
    names = {"image": "gpufleet/cuda:8.0"}
    for name, added in TYPED["images"].items():
        names[name] = f"gpufleet/typed-{name}"
        on_host(
            f"docker build -q -t {names[name]} - <<'END'\nFROM {names['image']}\n{added}\nEND\n"
        )
    return names


@pytest.mark.parametrize("typed", TYPED["lines"], ids=lambda typed: typed["name"])
def test_with_another_client(typed, client, images, on_host) -> None:
    """What users type works as with the host's own client."""
    variables = {**images, "NV_DOCKER": client}
    exported = "".join(f"export {name}={value}; " for name, value in variables.items())
    done = on_host(exported + typed["line"], ok=False)
    assert done.returncode == typed.get("status", 0), done.stderr
    assert re.fullmatch(typed["prints"], " ".join(done.stdout.split())), done


@pytest.fixture(scope="module")
def completed(host, on_host):
    """Type words and TAB at an interactive bash of the host; PATH may be another one."""
    on_host("apt-get install -qq --no-install-recommends bash-completion")

    def complete(*words: str, path: str = "/usr/local/bin:/usr/bin:/bin") -> list[str]:
        done = subprocess.run(
            ["docker", "exec", "-i", "-e", f"PATH={path}", host, "python3", "-", *words],
            input=(HOSTS / "type_at_bash.py").read_text(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "No such file" not in done.stderr
        assert "not found" not in done.stderr
        return done.stdout.splitlines()

    return complete


@pytest.fixture
def no_packaged_completion(on_host) -> Iterator[None]:
    """As on a host whose docker comes without one."""
    on_host(f"mv {COMPLETION} {COMPLETION}.away")
    yield
    on_host(f"mv {COMPLETION}.away {COMPLETION}")


def test_completes_as_docker_s_packaged_completion(completed) -> None:
    """Commands, images, options."""
    typed = ["nvidia-docker ru", "nvidia-docker run gpufleet/cu", "nvidia-docker run --read-o"]
    assert completed(*typed) == [
        "nvidia-docker run ",
        "nvidia-docker run gpufleet/cuda",
        "nvidia-docker run --read-only ",
    ]


def test_completes_nvidia_docker_cdi(completed) -> None:
    """Options, and values of theirs in both ways to write them."""
    words = ["--pa", "--capabilities=compute,ut", "--cdi-version 0.5", "--driver-root=/us"]
    assert completed(*(f"nvidia-docker-cdi {one}" for one in words)) == [
        "nvidia-docker-cdi --path ",
        "nvidia-docker-cdi --capabilities=compute,utility ",
        "nvidia-docker-cdi --cdi-version 0.5.0 ",
        "nvidia-docker-cdi --driver-root=/usr/",
    ]


def test_completes_as_the_client_tells(completed, no_packaged_completion) -> None:
    """From docker 23 on a client brings its own; 20.10 has it too, unlisted, without images."""
    assert completed("nvidia-docker ru") == ["nvidia-docker run "]


def test_completes_file_names_without_docker(completed, no_packaged_completion, on_host) -> None:
    """And nobody is told of an error at each TAB."""
    on_host(
        "mkdir -p /opt/no-docker && ln -s /usr/bin/* /opt/no-docker && rm /opt/no-docker/docker"
    )
    try:
        assert completed("nvidia-docker /etc/hostna", path="/opt/no-docker") == [
            "nvidia-docker /etc/hostname "
        ]
    finally:
        on_host("rm -r /opt/no-docker")


# In zsh nothing but a terminal completes. Ctrl-A, Ctrl-E: to the start and the end of the line.
IN_ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'autoload -Uz compinit; compinit -u -D; bindkey "^I" complete-word'
zpty -w shell $'nvidia-docker inspe\t\x01print -r -- "typed: <\x05>"'
zpty -w shell exit
while zpty -r shell line; do print -r -- $line; done
"""


def test_completes_in_other_shells(on_host) -> None:
    """fish and zsh find theirs where they look by themselves."""
    on_host("apt-get install -qq --no-install-recommends fish zsh")
    assert on_host("fish -c 'complete -C \"nvidia-docker ru\"'").stdout.startswith("run\t")
    told = on_host("fish -c 'complete -C \"nvidia-docker-cdi --cdi-version 0.3\"'").stdout
    assert told.startswith("0.3.0\t")
    typed = on_host(f"timeout 60 zsh <<'END'\n{IN_ZSH}\nEND").stdout
    assert re.search(r"^typed: <nvidia-docker inspect ?>", typed, re.MULTILINE), typed


def test_the_installed_manual_pages_can_be_read(on_host) -> None:
    """The links lead to the pages of the current release."""
    pages = on_host(
        "cd /usr/local/share/man && "
        "cat man1/nvidia-docker.1 man8/nvidia-docker-plugin.8 man8/nvidia-docker-cdi.8"
    )
    assert re.findall(r"^\.TH ([A-Z-]+) (\d)", pages.stdout, re.MULTILINE) == [
        ("NVIDIA-DOCKER", "1"),
        ("NVIDIA-DOCKER-PLUGIN", "8"),
        ("NVIDIA-DOCKER-CDI", "8"),
    ]
