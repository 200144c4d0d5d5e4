"""The options of the section [vnc]; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.types import CheckedListOpt, CheckedOpt, formerly
from novnc_twisted.service.options.urls import web_url
from novnc_twisted.service.options.values import absolute_folder, address, connectable_address, octal_mode, socket_path
from novnc_twisted.session.screen_name import AUTO, check_template

VNC: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        deprecated_opts=formerly("vnc_enabled"),
        help="Whether consoles of VMs on this compute host may be opened.",
    ),
    CheckedOpt(
        "server_listen",
        address,
        default="127.0.0.1",
        deprecated_opts=formerly("vncserver_listen", "vnc.vncserver_listen"),
        help="The address on which VMs should listen. A running VM that listens on an unexpected address is reported "
        "once in the log.",
    ),
    CheckedOpt(
        "server_proxyclient_address",
        connectable_address,
        default="127.0.0.1",
        deprecated_opts=formerly("vncserver_proxyclient_address", "vnc.vncserver_proxyclient_address"),
        help="The address of this compute host to which the proxies connect.",
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
        "novncproxy_socket",
        socket_path,
        help="The absolute path of a unix socket on which the noVNC proxy listens, instead of novncproxy_host and "
        "novncproxy_port (websockify's unix-listen). In trusted_proxies, 127.0.0.1 stands for the clients of this "
        "socket. A client without X-Forwarded-For has no known address, so bind_address refuses it.",
    ),
    CheckedOpt(
        "novncproxy_socket_mode",
        octal_mode,
        default="0600",
        help="The permissions of novncproxy_socket in octal digits; users who may write to it can connect.",
    ),
    CheckedOpt(
        "novncproxy_base_url",
        web_url,
        default="http://127.0.0.1:6080/vnc_auto.html",
        deprecated_opts=formerly("novncproxy_base_url"),
        help="The URL of the page of the noVNC proxy. Users get this URL with a token added. Set it to the same value "
        "on compute hosts and proxies.",
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
        help="The URL that users of the Java viewer get. It must contain a port.",
    ),
    CheckedListOpt(
        "auth_schemes",
        choices=["none", "vnc", "vencrypt"],
        default=["none", "vnc"],
        help="Security types for the log-in to VNC servers, in order of preference. Others are never used. vencrypt is "
        "TLS. vencrypt alone refuses VMs without TLS. vencrypt,none uses TLS only if the VM offers it; use this "
        "value only while you change the hosts to TLS.",
    ),
    CheckedListOpt(
        "vencrypt_subtypes",
        choices=["X509None", "X509Vnc", "TLSNone", "TLSVnc"],
        default=["X509None", "X509Vnc"],
        help="Sub-types of vencrypt, in order of preference. The Vnc sub-types ask for a password inside TLS. The "
        "X509 sub-types verify the VNC server's certificate. TLSNone and TLSVnc verify no certificate: they "
        "protect against eavesdropping, but not against an attacker who impersonates the server.",
    ),
    cfg.StrOpt(
        "vencrypt_ca_certs",
        help="File (PEM) of the CAs that issue the certificates of VNC servers. Unset: the CAs that the system trusts.",
    ),
    cfg.StrOpt(
        "vencrypt_client_cert",
        help="File (PEM) of the certificate that the proxies show to VNC servers; intermediate certificates may "
        "follow it. Needed if qemu.conf of a compute host has vnc_tls_x509_verify = 1.",
    ),
    cfg.StrOpt(
        "vencrypt_client_key",
        help="File (PEM) of the private key of vencrypt_client_cert, without a passphrase. Not needed if the key is in "
        "the file of the certificate.",
    ),
    cfg.StrOpt(
        "vencrypt_server_name",
        help="The DNS name or IP address that the certificate of every VNC server must contain. The proxy replaces "
        "{host} by the name of the server's compute host, for example in {host}.example.org. Unset: the address "
        "to which the proxy connects (server_proxyclient_address); for a unix socket, the name of the compute "
        "host (host).",
    ),
    CheckedOpt(
        "name_check",
        check_template,
        mutable=True,
        default=AUTO,
        help="How a proxy checks that it shows the right VM, by the name that the VNC server sends in ServerInit. "
        "auto: in a name of the form QEMU (X), X must be the {instance_name} of this VM; names of another form are "
        "accepted. off: no check. Any other value is a template with {name}, {instance_name} or {uuid}. The name must "
        "equal the filled template. A VM with another name is refused.",
    ),
    CheckedListOpt(
        "socket_directories",
        absolute_folder,
        mutable=True,
        default=["/var/lib/libvirt/qemu", "/run/libvirt/qemu"],
        help="Absolute paths of folders. The unix sockets of VMs must be in or below one of these folders.",
    ),
]
