# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headless Chromium, by the WebDriver protocol of chromedriver (https://www.w3.org/TR/webdriver2/)."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One browser, which quit() ends."""

    def __init__(self) -> None:
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True
        )
        self._open = build_opener(ProxyHandler({})).open  # it is on this machine
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if port := re.search(r"started successfully on port (\d+)", line):
                break
        self._url = f"http://127.0.0.1:{port[1]}/session"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/{made['sessionId']}"

    def quit(self) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait()

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self._ask("POST", "/url", {"url": path.as_uri()})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a JavaScript function body returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        """Click where the element is, as a user would: a covered one is an error."""
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        self._ask("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, key: str) -> None:
        """Press one key wherever the focus is."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def texts(self, selector: str) -> list[str]:
        """Return the visible text of each element."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText.trim())"
        )
        return self.run(script, selector)

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Be a window of this size, with this preference for colours."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def screenshot(self, path: Path) -> None:
        """Keep what is seen, in the format of the name's suffix: png or webp."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._devtools("Emulation.setScrollbarsHidden", {"hidden": True})
        taken = self._devtools("Page.captureScreenshot", {"format": path.suffix[1:]})
        self._devtools("Emulation.setScrollbarsHidden", {"hidden": False})
        path.write_bytes(base64.b64decode(taken["data"]))

    def console(self) -> list[str]:
        """Return what the console has got since it was asked last: errors, warnings, refusals."""
        return [line["message"] for line in self._ask("POST", "/se/log", {"type": "browser"})]

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            self._url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with self._open(request, timeout=60) as answer:
            return json.load(answer)["value"]
