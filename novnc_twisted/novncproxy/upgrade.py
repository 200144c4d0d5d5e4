"""Decides whether a WebSocket upgrade is accepted: checks the handshake, then the Origin.  No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from novnc_twisted.access.forwarded import Network, forwarded_proto
from novnc_twisted.access.origin import ALLOWED, FORBIDDEN, explain_refusal, judge_origin
from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.events.refused import RefusalCause
from novnc_twisted.novncproxy.handshake import Accepted, HandshakeFailed, Handshaker

_FOREIGN_ORIGIN = "This console may not be opened from another site."


class UpgradeRefused(Exception):
    """The upgrade is refused with an HTTP status.

    :ivar status: the status.
    :ivar sentence: the text for the client.
    :ivar cause: a short name of the reason, for :class:`.RequestRefused`.
    :ivar detail: what happened, for the log.
    :ivar option: the option to change; empty if no option helps.
    """

    def __init__(
        self, status: int, sentence: str, detail: str, *, cause: RefusalCause = "BadRequest", option: str = ""
    ) -> None:
        super().__init__(detail)
        self.status, self.sentence, self.detail, self.cause, self.option = status, sentence, detail, cause, option


@dataclass(frozen=True, slots=True)
class UpgradePolicy:
    """The rules for upgrades.

    :ivar handshaker: checks the handshake.
    :ivar scheme: the scheme that an Origin must have, unless a trusted proxy names another one; empty: http or https.
    :ivar allowed_origins: hosts whose pages may connect, besides the host to which the request was sent.
    :ivar trusted_proxies: networks whose X-Forwarded-Proto is accepted.
    """

    handshaker: Handshaker
    scheme: str
    allowed_origins: Sequence[str]
    trusted_proxies: Sequence[Network]

    def admit(self, head: RequestHead, peer_address: str) -> Accepted:
        """Check an upgrade, and return the accepted handshake with the 101 response.

        :param peer_address: the address of the connection's other side.
        :raises UpgradeRefused: the handshake is malformed, or the Origin is not allowed.
        """
        try:
            accepted = self.handshaker.accept(head)
        except HandshakeFailed as error:
            raise UpgradeRefused(400, ProtocolViolation.sentence, f"no WebSocket handshake: {error}") from None
        # Checked after the handshake, so that a malformed request gets the status 400, whatever its Origin is.
        self._check_origin(head, peer_address)
        return accepted

    def _check_origin(self, head: RequestHead, peer_address: str) -> None:
        origins, hosts, protos = head.all("origin"), head.all("host"), head.all("x-forwarded-proto")
        proto = forwarded_proto(peer_address, protos, self.trusted_proxies)
        allowed, scheme = self.allowed_origins, self.scheme
        verdict = judge_origin(origins, hosts, scheme=scheme, allowed=allowed, forwarded_proto=proto)
        if verdict == FORBIDDEN:
            why, option = explain_refusal(origins, hosts, scheme=scheme, allowed=allowed, forwarded_proto=proto)
            raise UpgradeRefused(403, _FOREIGN_ORIGIN, why, cause="ForeignOrigin", option=option)
        # The other verdict, 400, means several Origins or several Hosts.  head_received() has refused several Hosts.
        if verdict != ALLOWED:
            raise UpgradeRefused(verdict, ProtocolViolation.sentence, "the request has several Origin fields")
