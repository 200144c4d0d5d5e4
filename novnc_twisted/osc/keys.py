"""The command ``openstack console keys send``."""

import argparse
import sys
from typing import Any

from osc_lib.command import command

from novnc_twisted.osc.commands import client_of, server_id_of


class SendKeys(command.Command):
    """Type a text on the keyboard of a server, or press keys there."""

    def get_parser(self, prog_name: str) -> Any:
        """See cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", metavar="<server>", help="Server (name or ID)")
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument("--text", metavar="<text>", help="Text to type, or - to read it from standard input")
        wanted.add_argument(
            "--keys", metavar="<key>", nargs="+", help="Keys to press together, for example: ctrl alt delete"
        )
        parser.add_argument("--layout", metavar="<layout>", help="Keyboard layout of the server (default: us)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """See cliff."""
        wanted: dict[str, Any] = {"keys": parsed_args.keys}
        if parsed_args.text is not None:
            # All users of a machine can see arguments in the list of processes, but not the standard input.
            wanted = {"text": sys.stdin.read() if parsed_args.text == "-" else parsed_args.text}
        if parsed_args.layout is not None:
            wanted["layout"] = parsed_args.layout
        client_of(self.app).send_keys(server_id_of(self.app, parsed_args.server), wanted)
