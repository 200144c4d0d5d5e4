"""The session limits of one worker and of one VNC server."""

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import (
    ConsoleUnreachable,
    TooManySessions,
)
from novnc_twisted.session import SessionLimits, SessionSettings


def info(uuid: str = "", port: int = 5900) -> ConnectInfo:
    return ConnectInfo(host="h", port=port, instance_uuid=uuid)


class Limits(SynchronousTestCase):
    def test_all_together(self) -> None:
        limits = SessionLimits(2)
        with limits.take_slot(info("a")), limits.take_slot(info("b")):
            self.assertEqual(len(limits), 2)
            with self.assertRaises(TooManySessions), limits.take_slot(info("c")):
                self.fail("no slot was free")
        self.assertEqual(len(limits), 0)

    def test_each_server(self) -> None:
        limits = SessionLimits(0, 1)
        with (
            limits.take_slot(info("a")),
            limits.take_slot(info("b")),
            limits.take_slot(info("", 1)),
            limits.take_slot(info("", 2)),
        ):
            for again in (info("a"), info("", 1)):
                with self.assertRaises(TooManySessions), limits.take_slot(again):
                    self.fail("no slot was free")
        with limits.take_slot(info("a")):
            self.assertEqual(len(limits), 1)

    def test_live_sessions(self) -> None:
        """They are counted for each server until their slot is given back."""
        limits = SessionLimits()
        first, second, other = (limits.take_slot(info(uuid)) for uuid in ("a", "a", "b"))
        self.assertEqual(limits.live_sessions(info("a")), 0)
        for slot in (first, second, other):
            slot.count_as_live()
        self.assertEqual((limits.live_sessions(info("a")), limits.live_sessions(info("b"))), (2, 1))
        for _ in range(2):
            first.give_back()
            self.assertEqual((limits.live_sessions(info("a")), len(limits)), (1, 2))
        first.count_as_live()
        second.give_back()
        self.assertEqual((limits.live_sessions(info("a")), len(limits)), (0, 1))

    def test_a_slot_is_given_back_after_a_failure(self) -> None:
        limits = SessionLimits(1)
        with self.assertRaises(ConsoleUnreachable), limits.take_slot(info()):
            raise ConsoleUnreachable
        self.assertEqual(len(limits), 0)

    def test_every_setting_is_described(self) -> None:
        for field in fields(SessionSettings):
            self.assertIn(f":ivar {field.name}:", SessionSettings.__doc__ or "")

    def test_defaults_are_the_promised_ones(self) -> None:
        settings = SessionSettings(host="h")
        self.assertEqual((settings.auth_schemes, settings.max_sessions_per_server), (("none", "vnc"), 16))
        self.assertEqual((settings.max_sessions, settings.idle_timeout, settings.max_failures_per_minute), (0, 0, 600))
        self.assertEqual(
            (settings.head_deadline, settings.token_deadline, settings.dial_deadline, settings.rfb_deadline),
            (10, 5, 10, 10),
        )
        self.assertEqual((settings.setup_deadline, settings.keep_interval), (30, 20))
