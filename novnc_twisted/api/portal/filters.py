"""The filters of the list of servers, in the query of its URL.

In the browser, novnc_twisted/web/src/list/filters.js reads and writes the same query.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from novnc_twisted.http.request import Request


class Filters(NamedTuple):
    """Filters for servers; an empty text matches every server.

    :ivar name: a part of the server's name, or the beginning of the server's id; case does not matter.
    :ivar state: a status of nova, such as ``ACTIVE``.
    :ivar project: a project, by the name or id that the list shows.
    :ivar host: a compute host, which only administrators see.
    """

    name: str = ""
    state: str = ""
    project: str = ""
    host: str = ""

    @classmethod
    def read(cls, request: Request) -> Self:
        """Read the filters from a request's query."""
        return cls(*(request.parameter(name) or "" for name in cls._fields))

    def match(self, row: Mapping[str, Any]) -> bool:
        """Return whether a server passes the filters.

        :param row: the server, as the list shows it to this user.
        """
        text = self.name.lower()
        return (
            (text in row["name"].lower() or row["id"].startswith(text))
            and self.state in ("", row["status"])
            and self.project in ("", row["project"])
            and self.host in ("", row["host"])
        )

    def query(self, **more: str) -> str:
        """Return the non-empty filters as the query of a URL.

        :param more: further parameters.
        """
        return urlencode({name: value for name, value in (more | self._asdict()).items() if value})
