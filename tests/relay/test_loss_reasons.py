"""Why a connection was lost, in words for the log."""

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.relay.loss_reasons import loss_reason, tls_error


class ReasonTests(SynchronousTestCase):
    def test_tls(self) -> None:
        """OpenSSL's phrases are used; an error without them has only its class."""
        phrases = [("SSL routines", "", "wrong version number"), ("SSL routines", "", "no shared cipher")]
        for error, expected in (
            (SSL.Error(phrases), "wrong version number, no shared cipher"),
            (SSL.Error([]), "Error"),
            (SSL.Error(), "Error"),
            (SSL.ZeroReturnError(), "ZeroReturnError"),
            (SSL.SysCallError(-1, "Unexpected EOF"), "SysCallError"),
        ):
            self.assertEqual(tls_error(error), expected, repr(error))
            self.assertEqual(loss_reason(Failure(error)), f"TLS: {expected}")

    def test_others(self) -> None:
        """The normal end has no reason; another error is named by its class, without its text."""
        self.assertEqual(loss_reason(Failure(ConnectionDone("bye"))), "")
        self.assertEqual(loss_reason(Failure(ConnectionAborted("secret"))), "ConnectionAborted")
