"""Reads a libvirt domain's XML: its identity, its owner, and the address of its VNC server.  No I/O.

The forms of ``<graphics>`` are those that libvirt 9 and older versions write; the metadata is nova's
(``nova/virt/libvirt/config.py``, LibvirtConfigGuestMetaNovaInstance).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from novnc_twisted.contract import fields

MAX_XML = 4 * 1024 * 1024
"""Maximum number of characters of XML.  libvirt limits a string to the same number of bytes
(VIR_NET_MESSAGE_STRING_MAX)."""
_MAX_VCPUS, _MAX_MEMORY_MB = 999_999, 999_999_999_999  # the limits in contract/instance.py
_XML_BLANKS = " \t\r\n"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?Z?", re.ASCII)
_NOVA = "{http://openstack.org/xmlns/libvirt/nova/"  # the version and a brace follow

# libvirt's units of memory: powers of 1024, except those that end in B without i (formatdomain.html).
_BYTES = {
    "b": 1,
    "bytes": 1,
    "kb": 1000,
    "k": 1024,
    "kib": 1024,
    "mb": 1000**2,
    "m": 1024**2,
    "mib": 1024**2,
    "gb": 1000**3,
    "g": 1024**3,
    "gib": 1024**3,
    "tb": 1000**4,
    "t": 1024**4,
    "tib": 1024**4,
}


class DomainXMLError(ValueError):
    """The XML cannot be used; the error's text gives the reason, and does not quote the XML."""


@dataclass(frozen=True, slots=True)
class Vnc:
    """The address of a domain's VNC server.

    :ivar port: its TCP port; None if it does not listen on TCP, or not yet (libvirt's -1).
    :ivar socket: the path of its unix socket, or None.
    :ivar listens: the addresses of its TCP port, as libvirt reports them; may be empty.
    :ivar nowhere: whether it does not listen at all (``<listen type='none'/>``).
    """

    port: int | None = None
    socket: str | None = None
    listens: tuple[str, ...] = ()
    nowhere: bool = False

    def conflicts_with(self, other: "Vnc") -> bool:
        """Return whether a proxy that connects to one of the two VNC servers could reach the other.

        Ports are compared without their addresses, because the proxies use one address for all servers of a host.
        """
        if self.socket is not None or other.socket is not None:
            return self.socket == other.socket
        return self.port is not None and self.port == other.port


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A libvirt domain.

    :ivar active: whether it has a process: it runs, is paused, or is starting.
    :ivar vcpus: number of virtual processors.
    :ivar memory_mb: memory in MiB.
    :ivar vnc: its VNC display, or None.
    :ivar project_id: the project's id in nova's metadata, or None.
    :ivar project_name: the project's name in nova's metadata, or None.
    :ivar user_id: the user's id in nova's metadata, or None.
    :ivar user_name: the user's name in nova's metadata, or None.
    :ivar created: when nova created it, ISO 8601 in UTC, or None.
    :ivar state: a name of :mod:`novnc_twisted.compute.states`.  The XML does not contain the state, so
        :func:`read_domain` leaves ``state``, ``power_state`` and ``migrating`` at their default values.
    :ivar power_state: nova's number of the state.
    :ivar migrating: whether a migration to or from this host has paused it, so that its console here cannot be used.
    """

    uuid: str
    name: str
    active: bool = False
    vcpus: int = 0
    memory_mb: int = 0
    vnc: Vnc | None = None
    project_id: str | None = None
    project_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    created: str | None = None
    state: str = "nostate"
    power_state: int = 0
    migrating: bool = False


def read_domain(xml: str) -> Domain:
    """Read the result of ``virDomainGetXMLDesc``.  The XML of a running domain has the present address of its console.

    :raises DomainXMLError: ``xml`` is not the XML of a domain with UUID and name, is too long, or has a DOCTYPE.
    """
    root = _parse(xml)
    uuid, name = root.findtext("uuid", "").strip().lower(), display_name(root.findtext("name", ""))
    if not uuid or not name:
        raise DomainXMLError("a domain without uuid or name")
    return Domain(
        uuid=uuid,
        name=name,
        active=root.get("id") is not None,
        vcpus=_vcpus(root),
        memory_mb=_memory_mb(root),
        vnc=_vnc(root),
        created=_created(root),
        **_owner(root),
    )


def display_name(name: str) -> str:
    """Return a name as the other services accept it: at most 1024 characters, U+FFFD for each control character.

    libvirt refuses a line feed in a name, but no other control character.
    """
    return _CONTROL.sub("\ufffd", name[: fields.MAX_TEXT])


def read_vnc_password(xml: str) -> str | None:
    """Return the VNC password from XML that was requested with VIR_DOMAIN_XML_SECURE; None: there is no password.

    :raises DomainXMLError: see :func:`read_domain`.
    """
    graphics = _graphics(_parse(xml))
    return None if graphics is None else graphics.get("passwd")


def _parse(xml: str) -> Element:
    if len(xml) > MAX_XML:
        raise DomainXMLError(f"longer than {MAX_XML} characters")
    try:
        # The standard parser would expand entities, with which users of libvirt could fill the memory ("billion
        # laughs").
        root: Element = fromstring(xml, forbid_dtd=True)
    except ParseError as error:
        raise DomainXMLError(f"not well-formed XML, at line {error.position[0]}") from None
    except DefusedXmlException as error:
        raise DomainXMLError(f"a DOCTYPE is not allowed ({type(error).__name__})") from None
    except ValueError:
        raise DomainXMLError("text that XML cannot contain") from None
    if root.tag != "domain":
        raise DomainXMLError("not the XML of a domain")
    return root


def _graphics(root: Element) -> Element | None:
    # libvirt supports one display of each type, so the first one is the only one.
    return next((item for item in root.iterfind("./devices/graphics") if item.get("type") == "vnc"), None)


def _vnc(root: Element) -> Vnc | None:
    graphics = _graphics(root)
    if graphics is None:
        return None
    elements = list(graphics.iterfind("listen"))
    kinds = {item.get("type") for item in elements}
    socket = graphics.get("socket") or next(
        (item.get("socket") for item in elements if item.get("type") == "socket" and item.get("socket")), None
    )
    # The attribute ``listen`` of <graphics> repeats the first <listen> element.  Old versions of libvirt write only the
    # attribute.
    addresses = [item.get("address") for item in elements if item.get("type") in ("address", "network")]
    listens = tuple(dict.fromkeys(address for address in (*addresses, graphics.get("listen")) if address))
    return Vnc(
        port=_port(graphics.get("port")),
        socket=socket,
        listens=listens,
        nowhere=kinds == {"none"},
    )


def _port(text: str | None) -> int | None:
    number = _number(text)
    return number if number is not None and 0 < number <= 65535 else None


def _number(text: str | None) -> int | None:
    # Accept only a few ASCII digits: int() also accepts "٣" and a megabyte of digits.
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _vcpus(root: Element) -> int:
    element = root.find("vcpu")
    if element is None:
        return 1  # libvirt's own default
    # ``current`` is the present number of virtual processors; the text of the element is their maximum number.
    return min(_number(element.get("current")) or _number(element.text) or 1, _MAX_VCPUS)


def _memory_mb(root: Element) -> int:
    element = root.find("memory")
    if element is None:
        return 0
    unit = _BYTES.get(element.get("unit", "KiB").lower(), 1024)
    return min((_number(element.text) or 0) * unit // 1024**2, _MAX_MEMORY_MB)


def _owner(root: Element) -> dict[str, Any]:
    """Return nova's project and user, from any version of its namespace.

    If the metadata has several owners with different projects, the domain belongs to no project: ambiguous metadata
    must not give access.
    """
    owners = [owner for instance in _instances(root) for owner in _nova(instance, "owner")]
    found: list[dict[str, Any]] = []
    for owner in owners:
        owned: dict[str, Any] = {}
        for kind in ("project", "user"):
            element = next(_nova(owner, kind), None)
            if element is not None:
                owned[f"{kind}_id"] = fields.usable_text(element.get("uuid"))
                owned[f"{kind}_name"] = fields.usable_text((element.text or "").strip(_XML_BLANKS))
        found.append(owned)
    projects = {(owned.get("project_id"), owned.get("project_name")) for owned in found}
    return found[0] if len(projects) == 1 else {}


def _created(root: Element) -> str | None:
    """Return when nova created the domain, as ISO 8601 in UTC; nova writes ``2026-11-22 10:11:12``."""
    for instance in _instances(root):
        element = next(_nova(instance, "creationTime"), None)
        time = _TIME.fullmatch((element.text or "").strip(_XML_BLANKS)) if element is not None else None
        if time is not None:
            return f"{time[1]}T{time[2]}Z"
    return None


def _instances(root: Element) -> Iterator[Element]:
    return _nova(root.find("metadata"), "instance")


def _nova(parent: Element | None, name: str) -> Iterator[Element]:
    for child in parent if parent is not None else ():
        # Comments and processing instructions have a function as their tag.
        if isinstance(child.tag, str) and child.tag.startswith(_NOVA) and child.tag.endswith(f"}}{name}"):
            yield child
