"""Chromium, as people look at a page: over its DevTools protocol, through a pipe, with nothing else installed.

Source: https://chromedevtools.github.io/devtools-protocol/ and `--remote-debugging-pipe` of Chromium.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_AXE = Path(__file__).parents[2] / "tools/axe/node_modules/axe-core/axe.min.js"
_PATIENCE_SECONDS = 30.0
_FLAGS = (
    *(
        "--headless=new",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)


def needed_chromium() -> str:
    """Skips also where a program of that name only says how to install it."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("chromium is not installed")
    asked = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, check=False)
    if asked.returncode:
        pytest.skip(f"{found} does not run: {(asked.stderr or asked.stdout).strip()[-200:]}")
    return found


@dataclass
class Browser:
    """One tab. `events`: what has happened since a page was opened or a key was pressed."""

    process: subprocess.Popen[bytes]
    write: int
    read: int
    session: str = ""
    asked: int = 0
    rest: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(cls, profile: Path) -> Iterator[Self]:
        """Run the browser. As root it has no sandbox of its own, because it only opens our pages."""
        command = [needed_chromium(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        (theirs_read, write), (read, theirs_write) = os.pipe(), os.pipe()
        # It reads from descriptor 3 and writes to 4; a shell puts them there.
        plumbing = f'exec "$@" 3<&{theirs_read} 4>&{theirs_write}'
        process = subprocess.Popen(
            ["/bin/bash", "-c", plumbing, "chromium", *command],
            pass_fds=(theirs_read, theirs_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for theirs in (theirs_read, theirs_write):
            os.close(theirs)
        try:
            yield cls(process, write, read)._attached()
        finally:
            for ours in (write, read):
                os.close(ours)  # without its pipe it ends by itself
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _attached(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    # the protocol

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.asked += 1
        message: dict[str, Any] = {"id": self.asked, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.asked:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read], [], [], max(0.0, deadline - time.monotonic()))
            content = os.read(self.read, 1 << 16) if ready else b""
            assert content, f"chromium does not answer (exit code {self.process.poll()})"
            self.rest += content
        message, _, self.rest = self.rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _until(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    # what people do

    def shaped(self, width: int, height: int = 900, *, dark: bool = False, scripts: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def opens(self, url: str) -> None:
        self.events.clear()
        fault = self.call("Page.navigate", url=url).get("errorText")
        assert not fault, fault
        self._until("Page.loadEventFired")

    def presses(self, key: str, *, loads: bool = False) -> None:
        """Press a key, named as the keyboard sends it: `Tab`, `Enter`."""
        codes = {"Tab": 9, "Enter": 13}
        typed = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        self.events.clear()
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **typed, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **typed)
        if loads:
            self._until("Page.loadEventFired")

    def types(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    # what people see

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression through the debugger, which also works where the page's scripts are off."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def axe(self) -> list[tuple[str, list[str]]]:
        """Return what axe-core finds against the page: each rule with the elements. Skips where it is not set up."""
        if not _AXE.exists():
            pytest.skip("axe-core is not set up: make tools/axe/node_modules/.ready")
        self.evaluate(_AXE.read_text())
        result = json.loads(self.evaluate("axe.run().then(found => JSON.stringify(found))"))
        assert len(result["passes"]) > 10
        return [(one["id"], [node["html"] for node in one["nodes"]]) for one in result["violations"]]

    @property
    def text(self) -> str:
        return str(self.evaluate("document.body.innerText"))

    @property
    def focused(self) -> str:
        return str(self.evaluate("document.activeElement.id || document.activeElement.tagName"))

    @property
    def complaints(self) -> list[str]:
        """Return the messages on the console since the page was opened."""
        return [one["entry"]["text"] for one in self._params("Log.entryAdded")]

    @property
    def requests(self) -> list[str]:
        """Return the requests that have left the browser."""
        sent = self._params("Network.requestWillBeSent")
        blocked = {
            one["requestId"] for one in self._params("Network.loadingFailed") if one.get("blockedReason")
        }
        return [one["request"]["url"] for one in sent if one["requestId"] not in blocked]

    def _params(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == method]

    def heard(self) -> list[dict[str, Any]]:
        """Return the nodes that a screen reader gets."""
        nodes: list[dict[str, Any]] = self.call("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node.get("ignored")]

    def screenshot(self, file: Path) -> None:
        """Take a picture of the whole page."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))
