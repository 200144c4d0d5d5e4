"""The table of refusals."""

import ast
from pathlib import Path

from twisted.trial.unittest import TestCase

import novnc_twisted
from novnc_twisted.errors import TABLE, InvalidToken, Refusal, ServiceUnavailable

PROMISED = {
    "InvalidToken": (4401, 401, 404, "This console link is not valid or has expired."),
    "TokenMissing": (4401, 400, None, "This console link is not valid or has expired."),
    "ConsoleForbidden": (4403, 403, 403, "This console link may not be used here."),
    "InstanceNotFound": (4404, 404, 404, "This server no longer exists."),
    "ConsoleTypeUnavailable": (4404, 404, 400, "This server has no VNC display."),
    "InstanceNotRunning": (4409, 409, 409, "This server is not running."),
    "ConsoleUnreachable": (4502, 502, 502, "The console of this server can't be reached."),
    "ServiceUnavailable": (4503, 503, 503, "The console service is not available."),
    "ConsoleClosed": (4504, None, None, "The server closed the console."),
    "IdleTimeout": (4408, None, None, ""),
    "SessionExpired": (4408, None, None, ""),
    "Revoked": (4410, 410, None, ""),
    "TooManySessions": (4429, 429, None, ""),
    "TooManyForServer": (4429, 429, None, "Too many consoles of this server"),
    "TooManyForUser": (4429, 429, None, "You have too many consoles"),
    "TooManyForProject": (4429, 429, None, "Your project has too many consoles"),
    "TooManyFromAddress": (4429, 429, None, "Too many consoles are open from your address"),
    "TooManyFailures": (4429, 429, None, ""),
    "ProtocolViolation": (1002, 400, None, ""),
    "TextRefused": (1003, None, None, ""),
    "MessageTooBig": (1009, 400, None, ""),
    "SetupTimeout": (1002, 400, None, ""),
    "Stopping": (1001, 503, None, ""),
    "WorkerLost": (1001, None, None, ""),
    "ClientLeft": (1000, None, None, ""),
}
"""Each cause: WebSocket close code, the XVP port's status, the API's status, and how its sentence begins."""


class TableTests(TestCase):
    def test_each_sentence_fits_a_close_frame_and_says_what_to_do(self) -> None:
        for name, row in TABLE.items():
            self.assertLessEqual(len(row.sentence.encode()), 123, name)
            self.assertTrue(row.sentence.endswith("."), name)

    def test_the_promised_rows(self) -> None:
        self.assertEqual(sorted(TABLE), sorted(PROMISED), "a new refusal needs a row here")
        for name, (code, status, api_status, beginning) in PROMISED.items():
            row = TABLE[name]
            self.assertEqual((row.close_code, row.status, row.api_status), (code, status, api_status), name)
            self.assertTrue(row.sentence.startswith(beginning), name)

    def test_every_refusal_happens(self) -> None:
        """A module other than the table uses each refusal, to raise it or to end a session with it."""
        package = Path(novnc_twisted.__file__).parent
        trees = [ast.parse(path.read_text()) for path in package.rglob("*.py") if path != package / "errors.py"]
        # Import statements, comments and docstrings have no ast.Name.
        used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
        used |= {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        self.assertEqual(set(TABLE) - used, set(), "nothing raises these refusals")

    def test_a_detail_is_for_the_log(self) -> None:
        self.assertEqual(str(InvalidToken("unknown")), "InvalidToken: unknown")
        self.assertEqual(str(InvalidToken()), "InvalidToken")
        self.assertNotIn("unknown", InvalidToken("unknown").sentence)

    def test_a_detail_is_one_harmless_line(self) -> None:
        """A detail may come from another process over the bus, and is printed to terminals and log files."""
        for detail, shown in (
            ("host1\x1b[2J\x07 is \r\nfine\t", "host1?[2J? is ??fine?"),
            ("a\x00b\x7fc\x85d\x9be", "a?b?c?d?e"),
            ("a\u2028b\u2029c", "a?b?c"),
            ("\u202eevil\u2066", "?evil?"),
            ("lone \ud800", "lone ?"),
            ("検証\u3000サーバ a\xa0b\u200cc", "検証\u3000サーバ a\xa0b\u200cc"),
            ("x" * 10_000, "x" * 500),
        ):
            refusal = ServiceUnavailable(detail)
            self.assertEqual((refusal.detail, str(refusal)), (shown, f"ServiceUnavailable: {shown}"))
            self.assertEqual(refusal.args, (shown,))
            str(refusal).encode()

    def test_every_row_is_in_the_table(self) -> None:
        self.assertTrue(all(issubclass(row, Refusal) and row.__name__ == name for name, row in TABLE.items()))
