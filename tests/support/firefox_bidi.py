"""Start Firefox for Playwright, which drives it by WebDriver BiDi: ``firefox_bidi.py FIREFOX ARGUMENTS...``.

Playwright requests emulations that a Firefox ESR does not have yet, and fails if Firefox answers "unknown command".
The tests do not need these emulations.  This program relays between the two, and replaces that answer by an empty
result.

Playwright opens each page in a window.  A window takes half a second of processor time more than a tab, so this program
requests a tab instead.  The newest tab has the focus, as a window would; older tabs are hidden.
"""

import contextlib
import json
import re
import signal
import sys

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet import reactor
from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import ProcessProtocol

LISTENING = re.compile(rb"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)")


def mended(answer: str) -> str:
    """Return Firefox's answer, or an empty result if it does not know an emulation."""
    if '"unknown command"' not in answer[:2000]:
        return answer
    fields = json.loads(answer)
    if fields.get("error") != "unknown command" or "emulation." not in fields.get("message", ""):
        return answer
    return json.dumps({"type": "success", "id": fields["id"], "result": {}})


def in_a_tab(command: bytes) -> bytes:
    """Return Playwright's command, or one for a tab if it requests a window."""
    if b'"browsingContext.create"' not in command[:2000]:
        return command
    fields = json.loads(command)
    if fields["method"] == "browsingContext.create":
        fields["params"]["type"] = "tab"
    return json.dumps(fields).encode()


class ToPlaywright(WebSocketServerProtocol):
    """Playwright's connection.  Messages wait until the connection to Firefox is open."""

    def onConnect(self, request):
        self.waiting = []
        self.firefox = None
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{self.factory.firefox_port}{request.path}", reactor=reactor)
        factory.protocol = ToFirefox
        factory.playwright = self
        reactor.connectTCP("127.0.0.1", self.factory.firefox_port, factory)

    def onMessage(self, payload, isBinary):
        command = in_a_tab(payload)
        if self.firefox is None:
            self.waiting.append(command)
        else:
            self.firefox.sendMessage(command)

    def onClose(self, wasClean, code, reason):
        if self.firefox is not None:
            self.firefox.sendClose()


class ToFirefox(WebSocketClientProtocol):
    def onOpen(self):
        playwright = self.factory.playwright
        playwright.firefox = self
        for payload in playwright.waiting:
            self.sendMessage(payload)

    def onMessage(self, payload, isBinary):
        self.factory.playwright.sendMessage(mended(payload.decode()).encode())

    def onClose(self, wasClean, code, reason):
        self.factory.playwright.sendClose()


class Firefox(ProcessProtocol):
    """The browser.  Its output is passed on, except for the address at which it listens."""

    code = 1
    known = b""

    def outReceived(self, data):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()

    def errReceived(self, data):
        self.known += data
        *lines, self.known = self.known.split(b"\n")
        for line in lines:
            if found := LISTENING.search(line):
                line = b"WebDriver BiDi listening on ws://127.0.0.1:%d" % listen(int(found[1]))
            sys.stderr.buffer.write(line + b"\n")
        sys.stderr.flush()

    def processEnded(self, reason):
        self.code = reason.value.exitCode or 0
        with contextlib.suppress(ReactorNotRunning):
            reactor.stop()


def listen(firefox_port):
    """Listen for Playwright, and return the port."""
    factory = WebSocketServerFactory(reactor=reactor)
    factory.protocol = ToPlaywright
    factory.firefox_port = firefox_port
    return reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port


def main():
    firefox = Firefox()
    process = reactor.spawnProcess(firefox, sys.argv[1], sys.argv[1:], env=None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: reactor.callFromThread(process.signalProcess, "TERM"))
    reactor.run(installSignalHandlers=True)
    sys.exit(firefox.code)


if __name__ == "__main__":
    main()
