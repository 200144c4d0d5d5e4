"""Requests and replies as Redis stores them, and the encryption of replies."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis.messages import Request, read_reply, read_request, write_reply
from novnc_twisted.messaging.redis.sealing import Opener, Sealer
from novnc_twisted.messaging.wire import MAX_MESSAGE

CALL, PROCESS = "c" * 32, "0123456789abcdef" * 2


class RequestTests(SynchronousTestCase):
    """What a server reads from a queue."""

    def setUp(self) -> None:
        self.opener = Opener()
        self.request = Request(CALL, PROCESS, self.opener.public_key, 1234, "check", {"a": [1, None, "ü"]})
        self.fields: dict[str, Any] = json.loads(self.request.encode())

    def test_round_trip(self) -> None:
        self.assertEqual(read_request(self.request.encode()), self.request)

    def test_too_long(self) -> None:
        long = Request(CALL, PROCESS, self.opener.public_key, 1, "m", {"a": "x" * MAX_MESSAGE})
        self.assertRaises(ValueError, long.encode)

    def test_invalid_fields(self) -> None:
        for name, values in {
            "id": (None, 7, "", "c" * 31, "C" * 32, "c" * 32 + "\n", ["c" * 32]),
            "to": (None, "x", "api:" + PROCESS, PROCESS + "0"),
            "key": (None, 7, "", "AAAA", "not base64!", "A" * 44 + "=="),
            "until": (None, "1234", 12.5, True, [1]),
            "method": (None, 7, ["check"]),
            "arguments": (None, [], "x"),
        }.items():
            for value in values:
                with self.assertRaises(ValueError, msg=f"{name}={value!r}") as caught:
                    read_request(json.dumps(self.fields | {name: value}))
                self.assertLess(len(str(caught.exception)), 60)

    def test_what_is_not_an_object(self) -> None:
        for text in (b"\xff", None, 7, "", "[]", "7", "{", '"x"', "[" * 100_000, "x" * (MAX_MESSAGE + 1)):
            self.assertRaises(ValueError, read_request, text)

    def test_unknown_fields_are_ignored(self) -> None:
        self.assertEqual(read_request(json.dumps(self.fields | {"more": 1})), self.request)


class ReplyTests(SynchronousTestCase):
    """What a caller reads from its own queue."""

    def setUp(self) -> None:
        self.opener = Opener()
        self.request = Request(CALL, PROCESS, self.opener.public_key, 1, "m", {})

    def test_round_trip(self) -> None:
        reply = write_reply(self.request, '{"result":"ü secret"}')
        self.assertNotIn("secret", reply)
        self.assertEqual(read_reply(reply, self.opener), (CALL, '{"result":"ü secret"}'))

    def test_each_reply_is_encrypted_anew(self) -> None:
        self.assertNotEqual(write_reply(self.request, "x"), write_reply(self.request, "x"))

    def test_another_process_cannot_read_it(self) -> None:
        self.assertRaises(ValueError, read_reply, write_reply(self.request, "x"), Opener())

    def test_a_reply_for_another_call(self) -> None:
        """A server that knows the key of a caller, but not the id of another call, cannot answer that call."""
        reply = json.loads(write_reply(self.request, "x"))
        self.assertRaises(ValueError, read_reply, json.dumps(reply | {"id": "d" * 32}), self.opener)

    def test_invalid_replies(self) -> None:
        for text in (
            "{}",
            "[]",
            "",
            None,
            b"x",
            '{"id":7,"sealed":"x"}',
            '{"id":"x","sealed":7}',
            '{"id":"x","sealed":"!"}',
        ):
            self.assertRaises(ValueError, read_reply, text, self.opener)

    def test_answers_up_to_the_limit(self) -> None:
        """Sealing makes an answer longer by a third."""
        answer = "x" * MAX_MESSAGE
        self.assertEqual(read_reply(write_reply(self.request, answer), self.opener), (CALL, answer))

    def test_an_answer_without_a_call(self) -> None:
        sealed = Sealer(self.opener.public_key).seal("no-space", "").rstrip()
        self.assertRaises(ValueError, self.opener.open, CALL, sealed)

    def test_keys_to_which_nothing_can_be_sealed(self) -> None:
        """libsodium refuses a key of zeros only when it is used."""
        zero = "A" * 43 + "="
        self.assertRaises(ValueError, write_reply, Request(CALL, PROCESS, zero, 1, "m", {}), "x")
