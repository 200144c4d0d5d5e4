"""The options of the section [libvirt]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.types import CheckedOpt, formerly
from novnc_twisted.service.options.urls import libvirt_uri

LIBVIRT: list[cfg.Opt] = [
    CheckedOpt(
        "connection_uri",
        libvirt_uri,
        default="qemu:///system",
        deprecated_opts=formerly("libvirt_uri"),
        help="The URI of libvirt on this compute host.",
    ),
]
