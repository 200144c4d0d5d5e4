"""The answer to ``check_token``."""

from typing import Annotated

from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, record


@record
class Admission(Record):
    """The console that a valid token opens.

    :ivar connect_info: where the console is now.  Its ``expires_at`` is by the clock of consoleauth.
    :ivar expires_in: seconds until the token expires; 0 if it has expired, and its viewer is admitted by a lease.
    """

    connect_info: Annotated[ConnectInfo, ConnectInfo.from_wire]
    expires_in: Annotated[float, fields.number]
