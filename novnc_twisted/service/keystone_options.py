"""Reads the credentials for Keystone from a section of the configuration, and checks each option of the section."""

import re
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg

from novnc_twisted.service.configuration import value_reason
from novnc_twisted.service.exits import Unusable, one_line

_FILES: Final = ("cafile", "certfile", "keyfile")
_URLS: Final = ("auth_url", "endpoint_override")
# The pattern also accepts %(project_id)s, which keystoneauth1 replaces in an endpoint.
_URL: Final = re.compile(r"(?i)https?://[^/?#\s]+[^\s]*\Z")
_ENDPOINT: Final = (cfg.ListOpt("valid_interfaces"), cfg.StrOpt("region_name"), cfg.StrOpt("endpoint_override"))


def has_credentials(conf: Any, section: str) -> bool:
    """Register the options of a section; return whether it sets ``auth_type`` or ``auth_section``.

    :raises Unusable: the value of ``auth_section`` or ``auth_type`` cannot be used; the text is one line that names the
        option.
    """
    from keystoneauth1 import loading

    conf.register_opt(_auth_section(), group=section)
    _value(conf, section, "auth_section")  # first, because keystoneauth1 reads it to register the other options
    loading.register_auth_conf_options(conf, section)
    if not conf[section].auth_section and not _value(conf, section, "auth_type"):
        return False
    loading.register_session_conf_options(conf, section)
    conf.register_opts(_ENDPOINT, group=section)
    return True


def load(conf: Any, section: str) -> Any:
    """Return keystoneauth1's session for the credentials of a section.

    :raises Unusable: an option of the credentials is missing or cannot be used; the text is one line that names the
        option.
    """
    from keystoneauth1 import loading
    from keystoneauth1.exceptions import ClientException

    from novnc_twisted.keystone import SessionLoader

    of_auth = conf[section].auth_section or section
    if not _value(conf, of_auth, "auth_type"):
        raise Unusable(f"[{of_auth}] auth_type: it is missing ([{section}] auth_section names the section {of_auth})")
    try:
        auth = loading.load_auth_from_conf_options(conf, section)
        _check(conf, section, of_auth)
        return SessionLoader().load_from_conf_options(conf, section, auth=auth)
    except (cfg.Error, RecursionError):
        # _check() reads the options one by one, and raises Unusable for the option that causes this error.
        _check(conf, section, of_auth)
        raise
    except (ClientException, ValueError, OSError) as error:
        _check(conf, section, of_auth)
        raise Unusable(f"[{of_auth}] auth_type: {one_line(str(error))}") from None


def _check(conf: Any, *sections: str) -> None:
    """Check the value of each registered option of these sections.

    :raises Unusable: a value cannot be used; the text is one line that names the option.
    """
    for section in dict.fromkeys(sections):
        for name in conf[section]:
            value = _value(conf, section, name)
            if not value:
                continue
            try:
                if name in _FILES:
                    with Path(value).open("rb"):
                        pass
            except (OSError, ValueError) as error:
                raise Unusable(f"[{section}] {name}: {one_line(value)}: {getattr(error, 'strerror', error)}") from None
            if name in _URLS and not _URL.match(value):
                raise Unusable(f"[{section}] {name}: {one_line(value)} is not an http:// or https:// URL")


def _value(conf: Any, section: str, name: str) -> Any:
    try:
        return conf[section][name]
    except (cfg.Error, ValueError, RecursionError) as error:
        # If the value contains $NAME, and no option has this name, the error does not show NAME: it may be a part of a
        # password.
        raise Unusable(f"[{section}] {name}: {value_reason(error, [name], secret=True)}") from None


def _auth_section() -> cfg.Opt:
    from keystoneauth1 import loading

    return next(option for option in loading.get_auth_common_conf_options() if option.dest == "auth_section")
