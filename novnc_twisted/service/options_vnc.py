"""The options of the section [vnc]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.option_types import CheckedListOpt, CheckedOpt, formerly
from novnc_twisted.service.option_urls import web_url
from novnc_twisted.service.option_values import absolute_folder, address, dialled_address

VNC: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        deprecated_opts=formerly("vnc_enabled"),
        help="Whether consoles of this compute host are given out.",
    ),
    CheckedOpt(
        "server_listen",
        address,
        default="127.0.0.1",
        deprecated_opts=formerly("vncserver_listen", "vnc.vncserver_listen"),
        help="Where VMs should listen. A live VM that listens wider is reported once in the log.",
    ),
    CheckedOpt(
        "server_proxyclient_address",
        dialled_address,
        default="127.0.0.1",
        deprecated_opts=formerly("vncserver_proxyclient_address", "vnc.vncserver_proxyclient_address"),
        help="The address of this compute host that the proxies dial.",
    ),
    CheckedOpt(
        "novncproxy_host",
        address,
        default="0.0.0.0",  # noqa: S104
        deprecated_opts=formerly("novncproxy_host"),
        help="The address on which the noVNC proxy listens.",
    ),
    cfg.PortOpt(
        "novncproxy_port",
        default=6080,
        min=1,
        deprecated_opts=formerly("novncproxy_port"),
        help="The port on which the noVNC proxy listens.",
    ),
    CheckedOpt(
        "novncproxy_base_url",
        web_url,
        default="http://127.0.0.1:6080/vnc_auto.html",
        deprecated_opts=formerly("novncproxy_base_url"),
        help="What users are given: the page of the noVNC proxy, to which the token is added. It must be set "
        "alike on compute hosts and proxies.",
    ),
    CheckedOpt(
        "xvpvncproxy_host",
        address,
        default="0.0.0.0",  # noqa: S104
        deprecated_opts=formerly("xvpvncproxy_host"),
        help="The address on which the XVP proxy listens.",
    ),
    cfg.PortOpt(
        "xvpvncproxy_port",
        default=6081,
        min=1,
        deprecated_opts=formerly("xvpvncproxy_port"),
        help="The port on which the XVP proxy listens.",
    ),
    CheckedOpt(
        "xvpvncproxy_base_url",
        web_url,
        default="http://127.0.0.1:6081/console",
        deprecated_opts=formerly("xvpvncproxy_base_url"),
        help="What users of the Java viewer are given; it needs a port.",
    ),
    CheckedListOpt(
        "auth_schemes",
        choices=["none", "vnc", "vencrypt"],
        default=["none", "vnc"],
        help="How the proxies log in to VNC servers, in the order of preference; what is not named is never done. "
        "vencrypt is TLS: vencrypt,none takes it where a VM has it, while hosts are changed over; vencrypt alone "
        "refuses VMs without it.",
    ),
    CheckedListOpt(
        "vencrypt_subtypes",
        choices=["X509None", "X509Vnc", "TLSNone", "TLSVnc"],
        default=["X509None", "X509Vnc"],
        help="Sub-types of vencrypt, in the order of preference; the Vnc ones ask for a password inside of TLS. X509 "
        "verifies the VNC server's certificate. TLSNone and TLSVnc verify nobody: they keep out who listens, not who "
        "answers in a server's place.",
    ),
    cfg.StrOpt(
        "vencrypt_ca_certs",
        help="File (PEM) of the CAs that issue the certificates of VNC servers; without it the system's are trusted.",
    ),
    cfg.StrOpt(
        "vencrypt_client_cert",
        help="File (PEM) of the certificate that the proxies show to VNC servers (for vnc_tls_x509_verify = 1); "
        "intermediate certificates may follow it.",
    ),
    cfg.StrOpt(
        "vencrypt_client_key",
        help="File (PEM) of its key, without a passphrase, where it is not in the same file.",
    ),
    cfg.StrOpt(
        "vencrypt_server_name",
        help="The DNS name or IP address that the certificate of every VNC server must have. Without it: the address "
        "that is dialled (server_proxyclient_address), and for a unix socket the compute host's name (host).",
    ),
    CheckedListOpt(
        "socket_directories",
        absolute_folder,
        default=["/var/lib/libvirt/qemu", "/run/libvirt/qemu"],
        help="Absolute folders (those below them included) in which the unix sockets of VMs may stand.",
    ),
]
