"""Whether a VNC server listens where the proxies look for it, and nowhere else.  Pure."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from novnc_twisted.compute.domain_xml import Vnc


@lru_cache(1024)  # for each connection to a console the same is asked
def complaint(vnc: Vnc, server_listen: str, proxyclient_address: str) -> str | None:
    """What is wrong with where a live VNC server listens, and the line that mends it; None: nothing that we can see.

    :param server_listen: where VMs should listen.
    :param proxyclient_address: where the proxies dial; a name is not resolved, so only its own text is compared.
    """
    if vnc.socket is not None or vnc.port is None or not vnc.listens:
        return None
    listens = [_address(text) for text in vnc.listens]
    dialled, meant = _address(proxyclient_address), _address(server_listen)
    mend = _mend(proxyclient_address)
    if dialled is not None and not any(listen is None or _reaches(listen, dialled) for listen in listens):
        return (
            f"listens on {', '.join(vnc.listens)}, where the proxies, which dial server_proxyclient_address "
            f"{proxyclient_address}, can't reach it; {mend}"
        )
    if meant is not None and meant.is_unspecified:
        return None
    for text, listen in zip(vnc.listens, listens, strict=True):
        if listen is not None and not listen.is_loopback and listen not in (dialled, meant):
            # A name to dial says nothing about its address: it may be this very one.
            if dialled is None and not listen.is_unspecified:
                continue
            return f"listens on {text}, wider than server_listen {server_listen}; {mend}"
    return None


def _mend(address: str) -> str:
    return (
        f"put <listen type='address' address='{address}'/> into its <graphics type='vnc'>, "
        f'or vnc_listen = "{address}" into qemu.conf, and start it again'
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if text == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None


def _reaches(listen: IPv4Address | IPv6Address, dialled: IPv4Address | IPv6Address) -> bool:
    if listen.is_unspecified:
        return listen.version == dialled.version or listen.version == 6  # "::" takes IPv4 as well
    return listen == dialled
