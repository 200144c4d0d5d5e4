"""The commands ``openstack console session ...`` and ``openstack console history ...``."""

import argparse
from typing import Any, Final
from uuid import UUID

from osc_lib import exceptions
from osc_lib.command import command

from novnc_twisted.osc.client import ConsoleClient

_COLUMNS: Final = {
    "ID": "id",
    "Server": "server_name",
    "User": "user_id",
    "Type": "console_type",
    "Mode": "mode",
    "Client": "client_address",
    "Proxy": "proxy",
    "Phase": "phase",
    "Started At": "started_at",
}
_LONG: Final = {
    "Server ID": "server_id",
    "Project": "project_id",
    "Host": "compute_host",
    "Last Input At": "last_input_at",
    "Bytes In": "bytes_in",
    "Bytes Out": "bytes_out",
    "Recording": "recording",
}
_ENDED: Final = {"Ended At": "ended_at", "Cause": "cause"}

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


def client_of(app: Any) -> ConsoleClient:
    """Return the client of the console API.

    :param app: the application object that cliff, the framework of the ``openstack`` command, gives to each command.
    """
    client: ConsoleClient = app.client_manager.console
    return client


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", metavar="<server>", help="Sessions of this server (name or ID)")
    parser.add_argument("--user", metavar="<user>", help="Sessions of this user (ID)")
    parser.add_argument("--project", metavar="<project>", help="Sessions of this project (ID)")
    parser.add_argument("--proxy", metavar="<host>", help="Sessions of the proxy on this host")
    parser.add_argument("--long", action="store_true", help="List additional fields")


def _filters(app: Any, parsed: argparse.Namespace) -> dict[str, Any]:
    return {
        "server_id": None if parsed.server is None else server_id_of(app, parsed.server),
        "user_id": parsed.user,
        "project_id": parsed.project,
        "proxy": parsed.proxy,
    }


def server_id_of(app: Any, server: str) -> str:
    """Return the ID of the VM with this name or ID.  An ID is not looked up, because the VM may have been deleted."""
    try:
        return str(UUID(server))
    except ValueError:
        return str(app.client_manager.compute.find_server(server, ignore_missing=False).id)


def _table(rows: Any, columns: dict[str, str]) -> Table:
    return tuple(columns), [tuple(row[field] for field in columns.values()) for row in rows]


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


class ListSession(command.Lister):
    """List the sessions of all proxies: those that are live or being set up."""

    def get_parser(self, prog_name: str) -> Any:
        """See cliff."""
        parser = super().get_parser(prog_name)
        _add_filters(parser)
        parser.add_argument("--limit", metavar="<limit>", type=_limit, help="Maximum number of sessions (default: all)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """See cliff."""
        client = client_of(self.app)
        rows = client.rows("/sessions", _filters(self.app, parsed_args), parsed_args.limit)
        return _table(rows, {**_COLUMNS, **(_LONG if parsed_args.long else {})})


class ShowSession(command.ShowOne):
    """Show a session that is live or being set up."""

    def get_parser(self, prog_name: str) -> Any:
        """See cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument("session", metavar="<session>", help="ID of the session")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        """See cliff."""
        session = client_of(self.app).show(parsed_args.session)
        return tuple(session), tuple(session.values())


class DeleteSession(command.Command):
    """End sessions, and revoke their links.  All other sessions of these links end as well."""

    def get_parser(self, prog_name: str) -> Any:
        """See cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument("sessions", metavar="<session>", nargs="+", help="ID of a session")
        parser.add_argument(
            "--reason", metavar="<reason>", help="Why the sessions are ended, for the log and the history"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """End each session, even if ending another one fails.

        :raises CommandError: one or more sessions could not be ended.
        """
        failed = []
        for session in parsed_args.sessions:
            try:
                client_of(self.app).end(session, parsed_args.reason)
            except Exception as error:
                failed.append(f"{session}: {error}")
        if failed:
            raise exceptions.CommandError("\n".join(failed))


class SetSession(command.Command):
    """Change what the viewer of a session may do.  This applies to all sessions of the same link."""

    def get_parser(self, prog_name: str) -> Any:
        """See cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument("session", metavar="<session>", help="ID of the session")
        parser.add_argument(
            "--mode", choices=("control", "view"), required=True, help="view: the viewer only sees the screen"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """See cliff."""
        client_of(self.app).set_mode(parsed_args.session, parsed_args.mode)


class ListHistory(command.Lister):
    """List sessions that have ended, newest first."""

    def get_parser(self, prog_name: str) -> Any:
        """See cliff."""
        parser = super().get_parser(prog_name)
        _add_filters(parser)
        parser.add_argument("--since", metavar="<time>", help="Sessions that ended at this time or later (ISO 8601)")
        parser.add_argument("--until", metavar="<time>", help="Sessions that ended at this time or earlier (ISO 8601)")
        parser.add_argument(
            "--limit", metavar="<limit>", type=_limit, default=100, help="Maximum number of sessions (default: 100)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """See cliff."""
        client = client_of(self.app)
        filters = {**_filters(self.app, parsed_args), "since": parsed_args.since, "until": parsed_args.until}
        rows = client.rows("/history", filters, parsed_args.limit)
        columns = {name: field for name, field in _COLUMNS.items() if field != "phase"}
        return _table(rows, {**columns, **_ENDED, **(_LONG if parsed_args.long else {})})
