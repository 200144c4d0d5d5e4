"""The one table of options: the sections of nova.conf in the order of the sample and of the documents."""

from collections.abc import Iterator, Sequence

from oslo_config import cfg

from novnc_twisted.service.options.api import API, KEYSTONE_AUTHTOKEN
from novnc_twisted.service.options.audit import AUDIT
from novnc_twisted.service.options.console import CONSOLE
from novnc_twisted.service.options.consoleauth import CONSOLEAUTH
from novnc_twisted.service.options.default import DEFAULT
from novnc_twisted.service.options.libvirt import LIBVIRT
from novnc_twisted.service.options.monitoring import MONITORING
from novnc_twisted.service.options.vnc import VNC

TABLE: dict[str, list[cfg.Opt]] = {
    "DEFAULT": DEFAULT,
    "vnc": VNC,
    "console": CONSOLE,
    "consoleauth": CONSOLEAUTH,
    "libvirt": LIBVIRT,
    "api": API,
    "keystone_authtoken": KEYSTONE_AUTHTOKEN,
    "monitoring": MONITORING,
    "audit": AUDIT,
}


def names() -> Iterator[tuple[str, cfg.Opt, str]]:
    """Yield ``(group, option, name)`` for the name and each former name of every option.

    ``group`` is always the option's current group, even if the former name was in another group.
    """
    for group, options in TABLE.items():
        for option in options:
            yield group, option, option.name
            for former in option.deprecated_opts:
                yield group, option, str(former.name)


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """Return the options for oslo.config's sample generator (entry point ``oslo.config.opts``)."""
    return list(TABLE.items())
