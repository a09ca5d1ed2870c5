"""A page in headless Chromium, driven through its DevTools pipe: what it holds, loads, and says on the console."""

import fcntl
import itertools
import json
import os
import select
import subprocess
import time

from support.tools import tool

__all__ = ["Browser"]

_TIMEOUT = 60
_SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
             "--disable-background-networking", "--remote-debugging-pipe")


class Browser:
    """Opens one page; a context, which ends the process.

    Members
    -------
    told : what the page said on the console, and its exceptions, in order
    loaded : addresses of everything that was asked for, the page itself first
    """

    def __init__(self, path, folder, *, width=1200, height=900):
        program = tool("chromium")
        (read, self._in), (self._out, write) = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4, which the ends may be themselves: the shell gets them by higher numbers.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 100) for end in (read, write)]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", program, *_SWITCHES,
             f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank"],
            pass_fds=ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (read, write, *ends):
            os.close(end)
        self._rest = b""
        self._numbers, self._session, self._ready = itertools.count(1), None, False
        self.told, self.loaded = [], []
        self._page = path.resolve().as_uri()

    def __enter__(self):
        try:
            target = next(one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self._call(f"{domain}.enable")
            self._call("Page.navigate", url=self._page)
            while not self._ready:
                self._read()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def run(self, expression):
        """The value of an expression in the page, which may be a promise."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def settle(self):
        """Let the page draw what was asked for."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def press(self, key):
        """Press a key, named as scripts see it."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, **text)
        self.settle()

    def mouse(self, kind, x, y, **more):
        """An event of the mouse: ``mouseMoved``, ``mousePressed``, ``mouseReleased`` or ``mouseWheel``."""
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.settle()

    def prefer(self, **features):
        """Let media features have values, such as ``prefers_color_scheme="dark"``."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": name.replace("_", "-"), "value": value}
                                                           for name, value in features.items()])
        self.settle()

    def _call(self, method, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _read(self):
        end = time.monotonic() + _TIMEOUT
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._out], [], [], max(0, end - time.monotonic()))
            assert ready, f"no answer of chromium for {_TIMEOUT} seconds"
            more = os.read(self._out, 1 << 16)
            assert more, "chromium has ended"
            self._rest += more
        raw, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(raw)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, params):
        if method == "Page.loadEventFired":
            self._ready = True
        elif method == "Network.requestWillBeSent":
            self.loaded.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.told.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
        elif method == "Runtime.consoleAPICalled":
            self.told.append(" ".join(str(one.get("value")) for one in params["args"]))
        elif method == "Log.entryAdded":
            self.told.append(params["entry"]["text"])
