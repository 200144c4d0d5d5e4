"""The answer to ``check_token``."""

from typing import Annotated

from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, record


@record
class Admission(Record):
    """consoleauth's permission for one use of a token.

    :ivar connect_info: where the console is now.  Its ``admission`` is the id of this permission.  Its ``expires_at``
        is a time of the clock that consoleauth uses.  The clock of the proxy may differ.
    :ivar expires_in: seconds until the token expires; 0: the token has expired, but a viewer whose session was live
        until just now may still reconnect with it.
    """

    connect_info: Annotated[ConnectInfo, ConnectInfo.from_wire]
    expires_in: Annotated[float, fields.number]
