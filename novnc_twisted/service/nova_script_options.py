"""The command-line options of nova's proxies; see :mod:`novnc_twisted.service.nova_script`.

All names have hyphens here.  On the command line, an underscore is accepted in place of each hyphen.
"""

from typing import Final, NamedTuple


class Option(NamedTuple):
    """An option that takes effect.

    :ivar names: its names on the command line.
    :ivar place: its section and its name in nova.conf.
    :ivar help: its description in ``--help``.
    """

    names: tuple[str, ...]
    place: tuple[str, str]
    help: str


def _vnc(name: str, text: str) -> Option:
    """Return an option of [vnc].  Its names on the command line are ``--vnc-NAME`` and the shorter ``--NAME``."""
    hyphens = name.replace("_", "-")
    return Option((f"--vnc-{hyphens}", f"--{hyphens}"), ("vnc", name), text)


VALUES: Final = (
    Option(("--log-file", "--logfile"), ("DEFAULT", "log_file"), "file of the log"),
    Option(("--log-dir", "--logdir"), ("DEFAULT", "log_dir"), "folder of the log"),
    Option(("--cert",), ("DEFAULT", "cert"), "file of the certificate"),
    Option(("--key",), ("DEFAULT", "key"), "file of the private key"),
    Option(("--web",), ("DEFAULT", "web"), "folder of the pages; by default those of this package"),
    _vnc("novncproxy_host", "address on which nova-novncproxy listens"),
    _vnc("novncproxy_port", "port on which nova-novncproxy listens"),
    _vnc("xvpvncproxy_host", "address on which nova-xvpvncproxy listens"),
    _vnc("xvpvncproxy_port", "port on which nova-xvpvncproxy listens"),
    _vnc("auth_schemes", "security types for VNC servers"),
    _vnc("vencrypt_client_key", "file of the private key for VNC servers"),
    _vnc("vencrypt_client_cert", "file of the certificate for VNC servers"),
    _vnc("vencrypt_ca_certs", "file of the CAs of VNC servers"),
    Option(("--state-path",), ("DEFAULT", "state_path"), "value of $state_path in other options"),
)
"""Options with a value."""

FLAGS: Final = (
    Option(("--debug", "-d"), ("DEFAULT", "debug"), "log each call between the services"),
    Option(("--ssl-only",), ("DEFAULT", "ssl_only"), "refuse plain connections"),
)
"""Options without a value; each has a second form that begins with ``--no``."""

IGNORED: Final = (
    ("--log-config-append", "--log-config"),
    ("--log-date-format",),
    ("--syslog-log-facility",),
    ("--remote-debug-host",),
    ("--remote-debug-port",),
)
"""Options with a value that have no effect here."""

IGNORED_FLAGS: Final = (
    ("--verbose", "-v"),
    ("--source-is-ipv6",),
    ("--use-journal",),
    ("--use-json",),
    ("--use-stderr",),
    ("--use-syslog",),
    ("--watch-log-file",),
)
"""Options without a value that have no effect here."""

REFUSED: Final = {
    "--daemon": "this program stays in the foreground; start it with systemd, or use twistd, which can become a daemon",
    "--record": "sessions are not recorded; start this program without this option",
}
"""Options that are refused, because ignoring them would surprise the operator.  Each has the text for the operator."""
