"""The XML of a domain, with any content."""

import re

from novnc_twisted.compute.domain_xml import Domain, DomainXMLError, read_domain, read_vnc_password

from .tools import Target, clean_text_of, fits_a_log, holds, same, text_of

_NOT_MARKUP = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>", re.DOTALL)


def run(data: bytes) -> None:
    """XML in libvirt's form: no entity is expanded, and no number is out of range."""
    for xml in {clean_text_of(data), text_of(data)}:
        domain = _read(xml)
        if domain is None:
            continue
        holds("<!DOCTYPE" not in _NOT_MARKUP.sub("", xml), "a document type is accepted", xml)
        holds(domain.uuid and domain.name, "no UUID or name", domain)
        same(domain.uuid, domain.uuid.strip().lower(), "the UUID")
        holds(0 < domain.vcpus < 10**18 and 0 <= domain.memory_mb < 10**25, "an impossible size", domain)
        texts = [value for value in (getattr(domain, name) for name in Domain.__slots__) if isinstance(value, str)]
        vnc = domain.vnc
        if vnc is not None:
            holds(vnc.port is None or 0 < vnc.port < 65536, "an impossible port", vnc)
            holds(vnc.socket != "" and all(vnc.listens), "an empty address", vnc)
            texts += [*vnc.listens, vnc.socket or ""]
        holds(sum(len(text) for text in texts) <= len(xml) + 100, "longer than the XML", domain)
        password = read_vnc_password(xml)
        holds(password is None or (vnc is not None and len(password) <= len(xml)), "an impossible password")


def _read(xml: str) -> Domain | None:
    try:
        return read_domain(xml)
    except DomainXMLError as error:
        fits_a_log(str(error), 100, "the error")
        return None


TARGETS = (
    Target(
        "domain-xml",
        run,
        1024,
        (
            b"<domain id='1'>",
            b"<uuid>11111111-2222-3333-4444-555555555555</uuid>",
            b"<name>one</name>",
            b"<memory unit='GiB'>1</memory>",
            b"<vcpu current='1'>2</vcpu>",
            b"<devices>",
            b"<graphics type='vnc' port='5900' autoport='yes' listen='127.0.0.1' passwd='secret'>",
            b"<listen type='address' address='127.0.0.1'/>",
            b"<listen type='socket' socket='/run/x'/>",
            b"<listen type='none'/>",
            b"</graphics>",
            b"</devices>",
            b"<metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>",
            b"<nova:owner><nova:user uuid='u'>n</nova:user><nova:project uuid='p'>q</nova:project></nova:owner>",
            b"<nova:creationTime>2026-01-01 00:00:00</nova:creationTime>",
            b"</nova:instance></metadata>",
            b"</domain>",
            b"<!DOCTYPE d [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>",
            b"&b;",
            b"<?xml version='1.0' encoding='utf-16'?>",
            b"<![CDATA[",
            b"]]>",
        ),
    ),
)
