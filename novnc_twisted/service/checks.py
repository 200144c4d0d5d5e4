"""What is wrong with a command's configuration: all of it, found before anything is started.

Nothing is changed here, no port is opened and nobody is contacted: ``--check-config`` does no more than this.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from novnc_twisted.service import config_warnings, credentials, settings
from novnc_twisted.service.bus import make_transport
from novnc_twisted.service.configuration import Configuration, read_all
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.tls_options import TLSOptions

Step = Callable[[], object]
"""Raises Unusable where something is wrong."""


def examine(command: str, part_names: Sequence[str], paths: Sequence[str], reactor: Any) -> Configuration:
    """Read the files, and all that they name; the result holds the errors and the warnings.

    :param part_names: the parts of the command, as ``novncproxy``.
    """
    read = read_all(paths)
    if any(file.faults for file in read.files):
        return read  # half of a configuration would show errors that the whole one does not have
    conf = read.conf
    _attempt(read, partial(make_transport, command, conf, reactor), partial(settings.worker_count, command, conf))
    if "consolecompute" in part_names:
        _attempt(read, settings.need_libvirt)
    if "consoleapi" in part_names:
        _attempt(read, partial(_users, read))
        tls = TLSOptions.of_api(conf)
        _tls(read, tls.mistakes, tls.files(), tls.load)
    if {"novncproxy", "xvpvncproxy"} & set(part_names):
        tls = TLSOptions.of_proxies(conf)
        _tls(read, tls.mistakes, tls.files(), tls.load)
        _tls(read, (), credentials.files(conf), partial(credentials.upstream_tls, conf))
        _attempt(read, partial(settings.auth_schemes, conf), partial(settings.proxy_protocol, conf))
    for line in settings.shared_ports(conf, part_names):
        read.add_error(line)
    if "novncproxy" in part_names:
        _attempt(read, partial(settings.web_folder, conf))
    for line in config_warnings.warnings(read, part_names):
        read.add_warning(line)
    return read


def _users(read: Configuration) -> None:
    """Read the users of the API."""
    users = settings.users_of_api(read.conf)
    if users is not None:
        read.logged_later += users.warnings


def _attempt(read: Configuration, *steps: Step) -> bool:
    """Take each step; whether all of them succeeded."""
    good = True
    for step in steps:
        try:
            step()
        except Unusable as error:
            read.add_error(str(error))
            good = False
    return good


def _tls(read: Configuration, missing: Sequence[str], files: Sequence[Step], whole: Step) -> None:
    """Check the files of one TLS set-up each by itself, and then what they make together."""
    for line in missing:
        read.add_error(line)
    if not missing and _attempt(read, *files):
        _attempt(read, whole)
