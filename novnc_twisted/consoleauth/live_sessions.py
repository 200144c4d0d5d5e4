"""The live sessions of the proxies, as far as consoleauth ends them."""

from twisted.logger import Logger

from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport

_log = Logger()


async def end_sessions(transport: ITransport, instance_uuid: str, reason: str) -> None:
    """End the sessions of a server on all proxies, with Revoked (4410); log the proxies that do not answer."""
    try:
        answers = await transport.broadcast(PROXY.prefix, "end_sessions", server_id=instance_uuid, reason=reason)
    except ServiceUnavailable as error:
        _log.warn("sessions of server {uuid} may go on: {reason}", uuid=instance_uuid, reason=str(error))
        return
    for answer in answers:
        if answer.refusal is not None:
            topic = answer.service.topic
            _log.warn("sessions of server {uuid} on {topic} may go on: no answer", uuid=instance_uuid, topic=topic)
