"""Why a connection was lost, in words for the log."""

from OpenSSL import SSL
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure


def loss_reason(reason: Failure) -> str:
    """Return why a connection was lost, for the log: only the kind of the error, without data of the peer.

    The text is empty if the peer closed the connection in the normal way.
    """
    # The type alone ("Error") does not distinguish an expired certificate from a wrong CA.
    if isinstance(error := reason.value, SSL.Error):
        return f"TLS: {tls_error(error)}"
    if reason.type is connectionDone.type:
        return ""
    return str(reason.type.__name__ if reason.type else reason.value)


def tls_error(error: SSL.Error) -> str:
    """Return OpenSSL's reasons in words: fixed phrases, without data of the peer.

    For example: ``peer did not return a certificate``.
    """
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(words) for _, _, words in queue) or type(error).__name__
