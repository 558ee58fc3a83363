# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recipe of docs/remote.md, with an nginx of our own on loopback."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.tests.fuzz.plugin import ROOT, TIMEOUT_S, Plugin

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
NAME = "gpu7.example.org"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def certificate(directory: Path, name: str, authority: str | None = None) -> None:
    """Make NAME.key and NAME.pem, signed by the authority or an authority itself."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if authority is not None:
        command += ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def recipe(directory: Path, plugin: Plugin, port: int) -> str:
    """Return the first nginx block of the page, for this machine."""
    text = (ROOT / "docs" / "remote.md").read_text()
    block = text.partition("```nginx\n")[2].partition("```")[0]
    for old, new in (
        ("listen 3477 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:3476", f"127.0.0.1:{plugin.port}"),
        ("/etc/nginx/nvidia-docker/server", str(directory / NAME)),
        ("/etc/nginx/nvidia-docker/clients-ca", str(directory / "ca")),
    ):
        assert old in block
        block = block.replace(old, new)
    temporary = "".join(
        f"    {kind}_temp_path {directory}/{kind};\n"
        for kind in "client_body proxy fastcgi uwsgi scgi".split()
    )
    return (
        f"pid {directory}/pid;\nerror_log stderr;\ndaemon off;\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temporary}{block}}}\n"
    )


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory, plugin: Plugin) -> Iterator[tuple[int, Path]]:
    program = shutil.which("nginx", path=PATH)
    if program is None:
        assert "CI" not in os.environ, "nginx is missing"
        pytest.skip("nginx is missing")
    directory = tmp_path_factory.mktemp("nginx")
    certificate(directory, "ca")
    for name in (NAME, "client"):
        certificate(directory, name, "ca")
    certificate(directory, "stranger")
    port = free_port()
    (directory / "nginx.conf").write_text(recipe(directory, plugin, port))
    command = [program, "-p", str(directory), "-c", str(directory / "nginx.conf")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-e", "stderr"], stderr=log)
    try:
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < end
                time.sleep(0.02)
        yield port, directory
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def ask(port: int, directory: Path, client: str | None, method: str = "GET") -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    if client is not None:
        context.load_cert_chain(directory / f"{client}.pem", directory / f"{client}.key")
    connection = http.client.HTTPSConnection(NAME, port, timeout=TIMEOUT_S, context=context)
    plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    connection.sock = context.wrap_socket(plain, server_hostname=NAME)
    connection.request(method, "/gpu/info/json")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_the_recipe_lets_in_who_has_a_certificate(plugin: Plugin, proxy: tuple[int, Path]) -> None:
    port, directory = proxy
    status, body = ask(port, directory, "client")
    assert status == 200
    assert body.count(b'"UUID"') == 8
    assert ask(port, directory, "client", "POST")[0] == 403
    for client in (None, "stranger"):
        status, body = ask(port, directory, client)
        assert status == 400
        assert b"UUID" not in body
    plugin.is_fine()
