"""Checks the addresses on which a VNC server listens.  No I/O.

The server must listen on the address to which the proxies connect (``server_proxyclient_address``).  It may also listen
on ``server_listen`` and on loopback addresses, but on no other address.  If ``server_listen`` is ``0.0.0.0`` or ``::``,
the server may listen on all addresses.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from novnc_twisted.compute.domain_xml import Vnc


@lru_cache(1024)  # called with the same arguments for each connection to a console
def complaint(vnc: Vnc, server_listen: str, proxyclient_address: str) -> str | None:
    """Return what is wrong with the addresses of a running VNC server, and how to mend it; None: nothing is wrong.

    :param server_listen: the address on which VMs should listen.
    :param proxyclient_address: the address to which the proxies connect.  A host name other than ``localhost`` is not
        resolved.  With such a name, the only error that can be found is a server that listens on all addresses.
    """
    # Without a TCP port, or if libvirt reports no addresses, there is nothing to compare.
    if vnc.socket is not None or vnc.port is None or not vnc.listens:
        return None
    listens = [_address(text) for text in vnc.listens]
    proxy_address, meant = _address(proxyclient_address), _address(server_listen)
    mend = _mend(proxyclient_address)
    # A name on which the server listens is not resolved (None), so assume that the proxies reach the server there.
    if proxy_address is not None and not any(listen is None or _reaches(listen, proxy_address) for listen in listens):
        return (
            f"listens on {', '.join(vnc.listens)}, but the proxies connect to server_proxyclient_address "
            f"{proxyclient_address} and can't reach the VNC server; {mend}"
        )
    if meant is not None and meant.is_unspecified:
        return None
    for text, listen in zip(vnc.listens, listens, strict=True):
        if listen is not None and not listen.is_loopback and listen not in (proxy_address, meant):
            # The proxies connect to a host name, which may resolve to this address.
            if proxy_address is None and not listen.is_unspecified:
                continue
            return f"listens on {text}, which server_listen {server_listen} does not permit; {mend}"
    return None


def _mend(address: str) -> str:
    return (
        f"put <listen type='address' address='{address}'/> into <graphics type='vnc'> of the VM, "
        f'or vnc_listen = "{address}" into qemu.conf and restart libvirtd; then shut the VM down and start it again'
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if text == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None


def _reaches(listen: IPv4Address | IPv6Address, proxy_address: IPv4Address | IPv6Address) -> bool:
    if listen.is_unspecified:
        return listen.version == proxy_address.version or listen.version == 6  # "::" accepts IPv4 as well
    return listen == proxy_address
