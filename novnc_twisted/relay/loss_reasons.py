"""Why a connection was lost, in words for the log."""

from OpenSSL import SSL
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure


def loss_reason(reason: Failure) -> str:
    """Why a connection was lost, for the log: never more than the kind of the error says."""
    if isinstance(error := reason.value, SSL.Error):
        return tls_error(error)
    return "" if reason.type is connectionDone.type else str(reason.type.__name__ if reason.type else reason.value)


def tls_error(error: SSL.Error) -> str:
    """What OpenSSL says of an error, in its own words: a few of a fixed set, nothing of the peer's."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return f"TLS: {', '.join(str(words) for _, _, words in queue) or 'unknown error'}"
