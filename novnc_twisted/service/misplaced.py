"""Finds misspelled and misplaced options in configuration files.

The name of a misspelled option is similar to that of one of our options.  A misplaced option has the name of one of our
options, but is in a section in which this name is not read.

Without a warning, the operator would not notice that an option still has its default.  Other unknown names belong to
nova, and are ignored.
"""

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.options.table import TABLE, names

_NOVAS_OPTIONS: Final = {"novnc_enabled", "xvpvnc_enabled"}
"""Option names of nova that resemble one of our names, but are correct."""

_NOVAS_SECTIONS: Final = frozenset(
    [
        "api_database",
        "barbican",
        "barbican_service_user",
        "cache",
        "cells",
        "cinder",
        "compute",
        "conductor",
        "consoles",
        "cors",
        "cyborg",
        "database",
        "devices",
        "ephemeral_storage_encryption",
        "filter_scheduler",
        "glance",
        "guestfs",
        "hyperv",
        "image_cache",
        "ironic",
        "key_manager",
        "keystone",
        "keystone_authtoken",
        "libvirt",
        "manila",
        "metrics",
        "mks",
        "neutron",
        "notifications",
        "nova",
        "os_vif_linux_bridge",
        "os_vif_ovs",
        "osapi_v21",
        "oslo_concurrency",
        "oslo_limit",
        "oslo_messaging_amqp",
        "oslo_messaging_kafka",
        "oslo_messaging_notifications",
        "oslo_messaging_rabbit",
        "oslo_middleware",
        "oslo_policy",
        "oslo_reports",
        "pci",
        "placement",
        "placement_database",
        "powervm",
        "profiler",
        "quota",
        "rdp",
        "remote_debug",
        "scheduler",
        "serial_console",
        "service_user",
        "spice",
        "ssl",
        "trusted_computing",
        "upgrade_levels",
        "vault",
        "vendordata_dynamic_auth",
        "vif_plug_linux_bridge_privileged",
        "vif_plug_ovs_privileged",
        "vmware",
        "workarounds",
        "wsgi",
        "xenserver",
        "zvm",
    ]
)
"""nova's own sections of nova.conf.  They are not checked, except those that are also in our table of options."""

_COMMON_NAMES: Final = frozenset(
    [
        "auth_strategy",
        "cert",
        "debug",
        "enabled",
        "file",
        "host",
        "key",
        "listen",
        "server_listen",
        "server_proxyclient_address",
        "ssl_only",
        "transport_url",
        "web",
        "workers",
    ]
)
"""Names of our options that other programs also use.  They do not show that an unknown section is meant for us."""


def misplaced(files: Sequence[FlagFile]) -> Iterator[str]:
    """Yield warnings about sections and options that are probably misspelled, and about misplaced options.

    An unknown section gets at most one warning, even if several of its options are misplaced.
    """
    ours = _names_of_sections()
    for file in files:
        for section, keys in file.sections.items():
            if section in ours:
                for key in keys:
                    yield from _option(file, section, key, ours)
            elif section not in _NOVAS_SECTIONS:
                yield from _section(file, section, keys, ours)


def _names_of_sections() -> dict[str, set[str]]:
    """Return the names of options that are read in each section, including former names."""
    found: dict[str, set[str]] = {section: set() for section in TABLE}
    for section, option, _ in names():
        found[section].add(option.name)
        for former in option.deprecated_opts:
            found.setdefault(str(former.group), set()).add(str(former.name))
    return found


def _option(file: FlagFile, section: str, key: str, ours: dict[str, set[str]]) -> Iterator[str]:
    if key in ours[section] or key in _NOVAS_OPTIONS:
        return
    place = f"{file.path}:{file.lines[section, key]}: [{section}] {key}"
    right = _sections_with(key, ours)
    if right:
        yield f"{place} is not read in this section; it belongs in {right}"
        return
    folded = key.lower().replace("-", "_")
    near = [folded] if folded in ours[section] else difflib.get_close_matches(folded, ours[section], n=1, cutoff=0.88)
    if near:
        yield f"{place} is not known; did you mean {near[0]}?"


def _section(file: FlagFile, section: str, keys: dict[str, list[str]], ours: dict[str, set[str]]) -> Iterator[str]:
    """Yield a warning about an unknown section if it is named like one of our sections, or if it has our options.

    Short names are often similar by chance.  So a similar name of at most four characters must differ from
    ours only in upper and lower case, or the section must have one of our options.  Without a similar name, options in
    ``_COMMON_NAMES`` alone do not cause a warning.
    """
    folded = {name.lower(): name for name in ours}
    near = difflib.get_close_matches(section.strip().lower(), folded, n=1, cutoff=0.75)
    named_like_ours = [key for key in keys if _sections_with(key, ours)]
    only_ours = [key for key in named_like_ours if key not in _COMMON_NAMES]
    if near and (named_like_ours or len(section) > 4 or section.strip().lower() in folded):
        yield f"{file.path}: the section [{section}] is not known; did you mean [{folded[near[0]]}]?"
    elif only_ours:
        key, right = only_ours[0], _sections_with(only_ours[0], ours)
        yield f"{file.path}: the section [{section}] is not known; {key} belongs in {right}"


def _sections_with(key: str, ours: dict[str, set[str]]) -> str:
    """Return the names of the sections that have an option of this name, joined by ``or``.

    If no section has an option of this name, return the sections in which this is the former name of an option.  If
    there is no such section either, return an empty text.
    """
    present = [section for section, options in TABLE.items() if any(option.name == key for option in options)]
    return " or ".join(f"[{name}]" for name in present or [name for name, known in ours.items() if key in known])
