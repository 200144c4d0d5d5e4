"""A sample of the faults of ``make failures``: no outcome is worse than the one in the documents' table."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.failures.run import give_up
from tests.failures.table import CLOUDS, FILE, GOES_ON, ROOT, broken, faults
from tests.support.hosts import missing

SAMPLE = ("consoleauth:kill", "worker:kill", "sentinel:kill")
"""Faults whose outcomes depend neither on how long they last nor on how soon libvirt notices them."""

SECONDS = 2.0

ENDS = (("qemu", "kill"), ("worker", "kill"), ("proxy", "kill"), ("proxy", "restart"))
"""The faults that end live sessions."""


class SampleTests(TestCase):
    timeout = 600

    async def test_as_in_the_documents(self) -> None:
        if (why := missing()) is not None:
            self.fail(why)
        file = Path(self.mktemp()).absolute()
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        python = [sys.executable, "-m"]
        command = [*sudo, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "env"]
        command += [f"PATH={os.environ['PATH']}:/usr/sbin:/sbin", *python, "tests.failures.init"]
        command += [*python, "tests.failures.lane", str(file), str(SECONDS), "sentinel", *SAMPLE]
        output, errors, code = await getProcessOutputAndValue(command[0], command[1:], env=os.environ, path=str(ROOT))
        self.assertEqual(code, 0, (output + errors).decode())
        table = {f"{one['part']}:{one['fault']}": one for one in json.loads(FILE.read_text())["clouds"]["sentinel"]}
        found = [json.loads(line) for line in file.read_text().splitlines()]
        self.assertEqual(len(found), len(SAMPLE))
        for one in found:
            self.assertEqual(broken(one, table[f"{one['part']}:{one['fault']}"]), [], one)


class TableTests(SynchronousTestCase):
    def test_it_has_every_fault(self) -> None:
        recorded = json.loads(FILE.read_text())["clouds"]
        names = {cloud: [f"{one['part']}:{one['fault']}" for one in outcomes] for cloud, outcomes in recorded.items()}
        self.assertEqual(names, {cloud: faults(cloud) for cloud in CLOUDS})

    def test_what_must_not_be_noticed(self) -> None:
        """No user sees a wrong screen, or misses one of two consoleauths; only faults in ENDS end live sessions."""
        text = FILE.read_text()
        self.assertNotIn("WRONG SCREEN", text)
        outcomes = [one for some in json.loads(text)["clouds"].values() for one in some]
        for one in outcomes:
            if one["part"] == "consoleauth":
                self.assertEqual({*one["link"], *one["new"], *one["token"], one["server"]} - {"waits"}, {"works"}, one)
            if (one["part"], one["fault"]) not in ENDS:
                self.assertIn(one["live"], GOES_ON, one)
            self.assertEqual(one["notes"], [], one)


class BrokenTests(SynchronousTestCase):
    """How a run is compared with the table."""

    def broken(self, **changed: Any) -> list[str]:
        recorded: dict[str, Any] = {kind: ["works", "4503"] for kind in ("link", "new", "elsewhere", "token")}
        recorded |= {"server": "works", "live": "goes on", "notes": []}
        return broken(recorded | changed, recorded)

    def test_as_recorded_or_better(self) -> None:
        self.assertEqual(self.broken(), [])
        self.assertEqual(self.broken(new=["works", "503"], token=["works"], link=["waits"]), [])
        self.assertEqual(self.broken(live="stands still, then goes on"), [])

    def test_worse(self) -> None:
        self.assertEqual(self.broken(link=["works", "4502"]), ["link: 4502"])
        self.assertEqual(self.broken(elsewhere=["WRONG SCREEN"]), ["elsewhere: WRONG SCREEN"])
        self.assertEqual(self.broken(token=["no answer", "no answer"]), ["token: no answer"])
        self.assertEqual(self.broken(server="connection lost"), ["at the VNC server: connection lost"])
        self.assertEqual(self.broken(live="4504"), ["live session: 4504"])
        self.assertEqual(self.broken(notes=["new: 503 after the cure"]), ["new: 503 after the cure"])


class GiveUpTests(SynchronousTestCase):
    def test_an_attempt(self) -> None:
        """An attempt that is given up leaves no error, even while it waits for a connection."""
        address = IPv4Address("TCP", "10.99.0.13", 8774)
        connecting: Deferred[None] = Deferred(lambda self: self.errback(ConnectingCancelledError(address)))
        for attempt in (connecting, Deferred()):
            give_up(attempt)
            self.assertIsNone(self.successResultOf(attempt))
