"""A new console link: the answer to ``get_vnc_console``."""

from dataclasses import field
from typing import Annotated, Any

from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, record


def _web_address(value: Any) -> str:
    # Our pages link to this address.  An address with the scheme javascript would run as a script in our pages.
    if fields.long_text(value).lower().startswith(("http://", "https://")):
        return str(value)
    raise ValueError("not an address of http or https")


@record
class Console(Record):
    """A token that a compute host made for a console.  It opens nothing until consoleauth has authorized it.

    :ivar token: the token, which is secret.
    :ivar access_url: the link for the user, which contains the token.
    :ivar connect_info: what the token will open.
    """

    token: Annotated[str, fields.short_text] = field(repr=False)
    access_url: Annotated[str, _web_address] = field(repr=False)
    connect_info: Annotated[ConnectInfo, ConnectInfo.from_wire]

    @property
    def console_type(self) -> str:
        """``novnc`` or ``xvpvnc``."""
        return self.connect_info.console_type
