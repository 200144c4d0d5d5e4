"""Finds the errors and warnings of a command's configuration, before a start or a reload uses it.

The check changes nothing, opens no port and contacts no peer.  ``--check-config`` does this check, checks ``log_file``,
and starts nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from novnc_twisted.service import (
    audit,
    config_warnings,
    credentials,
    keystone_users,
    monitoring,
    nova_backend,
    settings,
    token_plugin_backend,
    without_consoleauth,
)
from novnc_twisted.service.bus import make_transport
from novnc_twisted.service.commands import SERVICES, has_proxy
from novnc_twisted.service.configuration import Configuration, read_all
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.tls_options import TLSOptions

Step = Callable[[], object]
"""One check, which raises Unusable if something is wrong."""


def examine(command: str, sources: Sequence[str | FlagFile], reactor: Any) -> Configuration:
    """Read the configuration files and the files that they name; return the options, errors and warnings."""
    services = SERVICES[command]
    read = read_all(sources)
    if any(file.faults for file in read.files):
        return read  # the options of the faulty lines are missing, which would cause further errors
    conf = read.conf
    _attempt(read, partial(make_transport, command, conf, reactor), partial(settings.worker_count, command, conf))
    _attempt(read, partial(nova_backend.check, command, reactor, conf))
    _attempt(read, partial(token_plugin_backend.check, command, reactor, conf))
    _attempt(read, partial(without_consoleauth.check, command, conf))
    if "consolecompute" in services:
        _attempt(read, settings.need_libvirt)
    if "consoleapi" in services:
        _attempt(read, partial(_users, read, reactor))
        tls = TLSOptions.of_api(conf)
        _tls(read, tls.mistakes, tls.files(), tls.load)
    if has_proxy(command):
        tls = TLSOptions.of_proxies(conf)
        _tls(read, tls.mistakes, tls.files(), tls.load)
        _tls(read, (), credentials.files(conf), partial(credentials.upstream_tls, conf))
        _attempt(read, partial(settings.auth_schemes, conf), partial(settings.proxy_protocol, conf))
    _attempt(read, partial(audit.check_file, conf), partial(monitoring.check_tracing, conf))
    for line in settings.shared_ports(conf, services):
        read.add_error(line)
    if "novncproxy" in services:
        _attempt(read, partial(settings.web_folder, conf))
    if "novncproxy" in services or "consoleapi" in services:
        _attempt(read, partial(settings.page_settings, conf))
    for line in (*config_warnings.warnings(read, services), *without_consoleauth.unused(read, command)):
        read.add_warning(line)
    return read


def _users(read: Configuration, reactor: Any) -> None:
    """Check what ``[api] auth_strategy`` needs: credentials for Keystone, a loopback address, or a file with users."""
    if read.conf.api.auth_strategy == "keystone":
        keystone_users.make(reactor, read.conf)
    users = settings.users_of_api(read.conf)
    if users is not None:
        read.logged_later += users.warnings


def _attempt(read: Configuration, *steps: Step) -> bool:
    """Run each step, and add the errors of those that fail; return whether all steps succeeded."""
    good = True
    for step in steps:
        try:
            step()
        except Unusable as error:
            read.add_error(str(error))
            good = False
    return good


def _tls(read: Configuration, missing: Sequence[str], files: Sequence[Step], whole: Step) -> None:
    """Check each file of one TLS configuration alone, and then all of them together.

    :param missing: errors about options that need another option, which is not set.  If there are any, no file is
        checked.
    """
    for line in missing:
        read.add_error(line)
    # First each file alone: otherwise one wrong file would also be reported as a mismatch of key and certificate.
    if not missing and _attempt(read, *files):
        _attempt(read, whole)
