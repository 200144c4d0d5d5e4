"""The names that python-openstackclient reads from a plug-in (entry point ``openstack.cli.extension``)."""

import argparse
from typing import Any

from novnc_twisted.osc.client import ConsoleClient, endpoint_of

API_NAME = "console"
API_VERSION_OPTION = "os_console_api_version"
API_VERSIONS = ("1",)
DEFAULT_API_VERSION = "1"


def make_client(instance: Any) -> ConsoleClient:
    """Return the client of the console API.

    :param instance: osc-lib's ClientManager.
    """
    config = instance.get_configuration()
    session, region, interface = instance.session, instance.region_name, instance.interface

    def catalogue(service: str) -> str | None:
        found: str | None = session.get_endpoint(service_type=service, region_name=region, interface=interface)
        return found

    compute = config.get("compute_endpoint_override") or catalogue("compute")
    override = config.get("console_endpoint_override")
    return ConsoleClient(session, endpoint_of(override, catalogue("console"), compute))


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the global options of the plug-in."""
    parser.add_argument(
        "--os-console-api-version",
        metavar="<console-api-version>",
        default=DEFAULT_API_VERSION,
        help="Version of the console API (only version 1 exists)",
    )
    return parser
