"""A headless Chromium, spoken to in its own protocol, and what its pages did: requests, console, text.

No driver and no library is needed: the browser is told what to do over a websocket on a local port.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.asking import ask
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--remote-debugging-port=0",
    "--window-size=1440,900",
    # Nobody but this machine can be reached, whatever a page tries.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)

START_SECONDS = 60.0
WAIT_SECONDS = 40.0


def executable() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Request:
    """One request of a page; `status` is None until it was answered, `blocked` why the browser did not send it or does
    not wait for it."""

    method: str
    url: str
    page: str = ""
    status: int | None = None
    blocked: str | None = None
    body: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether an answer is still to come. The browser tells of none for what the page itself made (`blob:`)."""
        return self.status is None and self.blocked is None and self.url.startswith("http")


@contextlib.contextmanager
def chromium(directory: Path) -> Iterator[Chromium]:
    """A browser of its own; its profile is in the directory."""
    found = executable()
    assert found is not None, "there is no browser"
    with (directory / "chromium.log").open("wb") as log:
        process = subprocess.Popen([found, *FLAGS, f"--user-data-dir={directory}"], stdout=log, stderr=log)
    try:
        yield Chromium(_port(directory, process))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(directory: Path, process: subprocess.Popen[bytes]) -> int:
    told = directory / "DevToolsActivePort"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, IndexError, ValueError):
            return int(told.read_text().splitlines()[0])
        time.sleep(0.05)
    raise AssertionError(f"the browser did not start: {(directory / 'chromium.log').read_text()[-2000:]}")


# The browser does not always say goodbye when a tab is closed.
PLAIN: dict[str, Any] = {"max_size": None, "compression": None, "ping_interval": None, "close_timeout": 0.5}


class Refused(Exception):
    """The browser did not do what it was told."""


class Chromium:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    @contextlib.contextmanager
    def tab(self) -> Iterator[Tab]:
        """A new tab, closed at the end; tabs share cookies and storage."""
        made = ask.put(f"{self._url}/json/new?about:blank", timeout=30).json()
        with connect(made["webSocketDebuggerUrl"], **PLAIN) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Network", "Runtime", "Log"):
                tab.send(f"{domain}.enable")
            tab.send("Page.addScriptToEvaluateOnNewDocument", source=FEW_FRAMES)
            try:
                yield tab
            finally:
                # Not by its own socket: a page that is just being left cannot be closed from within.
                ask.get(f"{self._url}/json/close/{made['id']}", timeout=30)


@dataclass
class Tab:
    """`requests` and `errors` are those since the tab was opened or `forget` was called."""

    socket: ClientConnection
    requests: dict[str, Request] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        number = next(self._ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=WAIT_SECONDS))
            if message.get("id") == number:
                if "error" in message:
                    raise Refused(message["error"]["message"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def forget(self) -> None:
        self.requests.clear()
        self.errors.clear()

    def goto(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        try:
            found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        except Refused as refused:
            if "navigated" not in str(refused):
                raise
            return self.run(script)  # of the page that has come in between
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    @property
    def path(self) -> str:
        return str(self.run("location.pathname"))

    def until(self, condition: Callable[[], Any], what: str, within: float = WAIT_SECONDS) -> Any:
        """What the condition returns once it is true."""
        deadline = time.monotonic() + within
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"{what}, not within {within:g} s:\n{self.path}\n{self.text[:3000]}"
            time.sleep(0.1)

    def sees(self, *texts: str) -> None:
        """Waits until all the texts are on the page, in whatever case."""
        for text in texts:
            self.until(lambda text=text: text.lower() in self.text.lower(), f"{text!r} is not there")  # type: ignore[misc]

    def sees_no_more(self, text: str) -> None:
        self.until(lambda: text.lower() not in self.text.lower(), f"{text!r} is still there")

    def settles(self) -> None:
        """Waits until every request that was sent is answered, and none came for a moment."""
        quiet = 0
        for _ in range(100):
            self.run("new Promise(done => setTimeout(done, 100))")
            quiet = 0 if any(one.is_open for one in self.requests.values()) else quiet + 1
            if quiet >= 5:
                return

    def click(self, what: str, number: int = 0) -> None:
        """The element that `what` finds (a CSS selector, or `text=…` for the smallest that reads exactly so), once the
        page has its answers (what comes in may push aside what was just aimed at), and it has stopped moving and
        nothing covers it."""
        self.until(lambda: self._place(what, number), f"there is no {what!r} to click on")
        self.settles()
        place: dict[str, float] | None = None

        def rests() -> bool:
            nonlocal place
            before, place = place, self._place(what, number)
            return place is not None and place == before

        self.until(rests, f"there is no {what!r} to click on")
        assert place is not None
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def fill(self, what: str, text: str, number: int = 0) -> None:
        """Replaces what is in a field."""
        self.click(what, number)
        self.run("document.activeElement.select && document.activeElement.select()")
        self.send("Input.insertText", text=text)

    def press(self, key: str) -> None:
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key], **text)

    def _place(self, what: str, number: int) -> dict[str, float] | None:
        found: dict[str, float] | None = self.run(f"({FIND})({json.dumps(what)}, {number})")
        return found

    def screenshot(self, path: Path) -> None:
        data = self.send("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _note(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                asked = about["request"]
                made = Request(asked["method"], asked["url"], about["loaderId"], body=asked.get("postData"))
                self.requests[about["requestId"]] = made
            case "Page.frameNavigated" if "parentId" not in about["frame"]:
                # The browser tells no more of what a page that was left had asked for.
                for request in self.requests.values():
                    if request.is_open and request.page != about["frame"]["loaderId"]:
                        request.blocked = "left"
            case "Network.responseReceived" if about["requestId"] in self.requests:
                self.requests[about["requestId"]].status = about["response"]["status"]
            case "Network.loadingFailed" if about["requestId"] in self.requests:
                reason = about.get("blockedReason") or about.get("errorText")
                self.requests[about["requestId"]].blocked = reason
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if about["type"] == "error":
                self.errors.append(" ".join(str(one.get("value", one.get("description"))) for one in about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                self.errors.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")


KEYS = {"Enter": 13, "Escape": 27, "Tab": 9}

# The graph of a run is drawn 60 times a second, by the CPU where there is no GPU, which then does nothing else.
FEW_FRAMES = """
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 250);
window.cancelAnimationFrame = clearTimeout;
"""

# Where to click: the middle of the element, scrolled into view; null while it is not there, hidden or covered.
FIND = """(what, number) => {
  const shown = (one) => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== "hidden";
  let found;
  if (what.startsWith("text=")) {
    const text = what.slice(5).toLowerCase();
    const reads = (one) => (one.innerText || "").trim().toLowerCase() === text;
    found = [...document.querySelectorAll("body *")].filter((one) => reads(one) && ![...one.children].some(reads));
  } else {
    found = [...document.querySelectorAll(what)];
  }
  const one = found.filter(shown)[number];
  if (!one) return null;
  one.scrollIntoView({ block: "center", inline: "center" });
  const box = one.getBoundingClientRect();
  const place = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const hit = document.elementFromPoint(place.x, place.y);
  const whole = one.closest("button, a, label") || one;
  return hit && hit !== document.body && (whole.contains(hit) || hit.contains(whole)) ? place : null;
}"""
