"""Domains read from the XML that libvirt 9 writes, and from XML that is wrong or hostile."""

import contextlib
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute.domain_xml import MAX_XML, DomainXMLError, Vnc, read_domain, read_vnc_password
from tests.contract.test_fields import LANGUAGES
from tests.support.untimed import untimed

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"

NOVA = """
<metadata><nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
  <nova:package version="27.0.0"/><nova:name>web</nova:name>
  <nova:creationTime>2026-11-22 10:11:12</nova:creationTime>
  <nova:flavor name="m1.tiny"><nova:memory>512</nova:memory></nova:flavor>
  <nova:owner>
    <nova:user uuid="8f3a0e6d5b8d4c0e9d1a2b3c4d5e6f70">alice</nova:user>
    <nova:project uuid="0c1b2a394857661514131211100f0e0d">demo</nova:project>
  </nova:owner>
</nova:instance></metadata>
"""


def owner(content: str) -> str:
    return (
        '<metadata><nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"><nova:owner>'
        f"{content}</nova:owner></nova:instance></metadata>"
    )


def domain(
    devices: str = "",
    *,
    metadata: str = "",
    live: bool = True,
    size: str = "<memory unit='KiB'>16384</memory>",
    name: str = "myserver20",
) -> str:
    number = " id='3'" if live else ""
    return (
        f"<domain type='qemu'{number}><name>{name}</name><uuid>{UUID}</uuid>{metadata}{size}"
        f"<vcpu placement='static'>2</vcpu><devices>{devices}</devices></domain>"
    )


def vnc(devices: str) -> Vnc | None:
    return read_domain(domain(devices)).vnc


class ReadTests(SynchronousTestCase):
    """Each form of <graphics> that libvirt 9 writes."""

    def test_tcp(self) -> None:
        found = read_domain(
            domain(
                "<graphics type='vnc' port='5900' autoport='yes' listen='127.0.0.1'>"
                "<listen type='address' address='127.0.0.1'/></graphics>"
            )
        )
        self.assertEqual((found.uuid, found.name, found.active), (UUID, "myserver20", True))
        self.assertEqual((found.vcpus, found.memory_mb), (2, 16))
        self.assertEqual(found.vnc, Vnc(port=5900, listens=("127.0.0.1",)))
        self.assertIsNone(found.project_id)

    def test_several_addresses(self) -> None:
        found = vnc(
            "<graphics type='vnc' port='5901' listen='10.0.0.5'><listen type='address' address='10.0.0.5'/>"
            "<listen type='network' address='192.0.2.1' network='net'/></graphics>"
        )
        self.assertEqual(found, Vnc(port=5901, listens=("10.0.0.5", "192.0.2.1")))

    def test_an_old_libvirt(self) -> None:
        self.assertEqual(
            vnc("<graphics type='vnc' port='5902' listen='0.0.0.0'/>"), Vnc(port=5902, listens=("0.0.0.0",))
        )

    def test_unix_socket(self) -> None:
        path = "/var/lib/libvirt/qemu/domain-4-NAME/vnc.sock"
        self.assertEqual(
            vnc(f"<graphics type='vnc' socket='{path}'><listen type='socket' socket='{path}'/></graphics>"),
            Vnc(socket=path),
        )
        self.assertEqual(
            vnc(f"<graphics type='vnc'><listen type='socket' socket='{path}'/></graphics>"), Vnc(socket=path)
        )

    def test_not_allocated(self) -> None:
        self.assertEqual(vnc("<graphics type='vnc' port='-1' autoport='yes'/>"), Vnc())

    def test_listens_nowhere(self) -> None:
        self.assertEqual(vnc("<graphics type='vnc'><listen type='none'/></graphics>"), Vnc(nowhere=True))

    def test_qemus_own_websocket_is_not_it(self) -> None:
        self.assertEqual(
            vnc("<graphics type='vnc' port='5903' websocket='5700' listen='127.0.0.1'/>"),
            Vnc(port=5903, listens=("127.0.0.1",)),
        )

    def test_spice_beside_vnc(self) -> None:
        both = "<graphics type='spice' port='5910' tlsPort='5911'/><graphics type='vnc' port='5904'/>"
        self.assertEqual(vnc(both), Vnc(port=5904))
        self.assertIsNone(vnc("<graphics type='spice' port='5910'/>"))
        self.assertIsNone(vnc(""))

    def test_invalid_ports(self) -> None:
        for port in ("0", "65536", "x", "", "٣", "9" * 5000, "5900.0", "+5900"):
            self.assertEqual(vnc(f"<graphics type='vnc' port='{port}'/>"), Vnc(), port)

    def test_stopped(self) -> None:
        self.assertFalse(read_domain(domain("<graphics type='vnc' port='5910' autoport='no'/>", live=False)).active)

    def test_nova_owner(self) -> None:
        found = read_domain(domain(metadata=NOVA))
        self.assertEqual(found.project_id, "0c1b2a394857661514131211100f0e0d")
        self.assertEqual((found.project_name, found.user_name), ("demo", "alice"))
        self.assertEqual(found.user_id, "8f3a0e6d5b8d4c0e9d1a2b3c4d5e6f70")
        self.assertEqual(found.created, "2026-11-22T10:11:12Z")
        self.assertEqual(read_domain(domain(metadata=NOVA.replace("nova/1.1", "nova/1.0"))).project_name, "demo")

    def test_metadata_of_others(self) -> None:
        other = NOVA.replace("http://openstack.org/xmlns/libvirt/nova/1.1", "http://example.com/nova/1.1")
        self.assertIsNone(read_domain(domain(metadata=other)).project_id)
        self.assertIsNone(read_domain(domain(metadata="<metadata><!-- none --></metadata>")).project_id)

    def test_memory(self) -> None:
        for size, expected in {
            "<memory unit='MiB'>512</memory>": 512,
            "<memory unit='GiB'>2</memory>": 2048,
            "<memory>1048576</memory>": 1024,
            "<memory unit='KB'>2097152</memory>": 2000,
            "<memory unit='parsec'>1048576</memory>": 1024,
            "<memory unit='KiB'>x</memory>": 0,
            "": 0,
        }.items():
            self.assertEqual(read_domain(domain(size=size)).memory_mb, expected, size)

    def test_current_vcpus(self) -> None:
        self.assertEqual(
            read_domain(f"<domain><name>n</name><uuid>{UUID}</uuid><vcpu current='3'>8</vcpu></domain>").vcpus, 3
        )


class AnyPartTests(SynchronousTestCase):
    """A part that cannot be used is dropped; the domain remains."""

    def test_names_of_any_language(self) -> None:
        for name in LANGUAGES:
            found = read_domain(domain(metadata=owner(f"<nova:project uuid='{name}'>{name}</nova:project>"), name=name))
            self.assertEqual((found.name, found.project_id, found.project_name), (name, name, name))

    def test_control_characters_in_a_name_are_replaced(self) -> None:
        for name in ("tab\tname", "next\x85name", "delete\x7fname"):
            self.assertEqual(read_domain(domain(name=name)).name, re.sub(r"[\t\x7f\x85]", "\ufffd", name))
        self.assertEqual(len(read_domain(domain(name="x" * 5000)).name), 1024)

    def test_owners_that_cannot_be_used(self) -> None:
        for text, expected in [
            ("<nova:project/>", (None, None)),
            ("<nova:project uuid=''> </nova:project>", (None, None)),
            ("<nova:project uuid='a&#9;b'>x&#9;y</nova:project>", (None, None)),
            (f"<nova:project uuid='red'>{'x' * 2000}</nova:project>", ("red", None)),
            ("<nova:project uuid='red'>\n  red\n</nova:project>", ("red", "red")),
            ("<nova:project>red</nova:project><nova:user uuid='a&#127;'>&#133;</nova:user>", (None, "red")),
            ("<nova:user>alice</nova:user>", (None, None)),
            ("", (None, None)),
        ]:
            found = read_domain(domain(metadata=owner(text)))
            self.assertEqual((found.project_id, found.project_name), expected, text)

    def test_two_owners_that_contradict_each_other(self) -> None:
        red, blue = (owner(f"<nova:project uuid='{one}'>{one}</nova:project>") for one in ("red", "blue"))
        inner = red.removeprefix("<metadata>").removesuffix("</metadata>")
        other = blue.removeprefix("<metadata>").removesuffix("</metadata>").replace("nova/1.1", "nova/1.0")
        self.assertIsNone(read_domain(domain(metadata=f"<metadata>{inner}{other}</metadata>")).project_id)
        self.assertEqual(read_domain(domain(metadata=f"<metadata>{inner}{inner}</metadata>")).project_id, "red")

    def test_invalid_times(self) -> None:
        for text in ("", "yesterday", "2026-11-22", "2026-11-22 10:11:12\n&#9;&#127;", "x" * 5000):
            metadata = NOVA.replace("2026-11-22 10:11:12", text)
            self.assertIsNone(read_domain(domain(metadata=metadata)).created, text)

    def test_sizes_beyond_all_bounds(self) -> None:
        found = read_domain(
            f"<domain><name>n</name><uuid>{UUID}</uuid><vcpu>{'9' * 18}</vcpu>"
            f"<memory unit='TiB'>{'9' * 18}</memory></domain>"
        )
        self.assertEqual((found.vcpus, found.memory_mb), (999_999, 999_999_999_999))

    def test_graphics_of_any_kind(self) -> None:
        for graphics in (
            "<graphics type='vnc' port='5900' listen='検証\u3000\u202e'/>",
            "<graphics type='vnc' port='5900'><listen type='address' address='a&#9;b'/></graphics>",
            "<graphics type='vnc' port='5900'><listen/><listen type='x'/></graphics>",
        ):
            self.assertEqual(vnc(graphics).port, 5900)


class PasswordTests(SynchronousTestCase):
    """The VNC password in secure XML."""

    def test_password(self) -> None:
        self.assertEqual(read_vnc_password(domain("<graphics type='vnc' port='5900' passwd='abc'/>")), "abc")
        self.assertEqual(read_vnc_password(domain("<graphics type='vnc' passwd=''/>")), "")
        self.assertIsNone(read_vnc_password(domain("<graphics type='vnc' port='5900'/>")))
        self.assertIsNone(read_vnc_password(domain("<graphics type='spice' passwd='abc'/>")))
        self.assertIsNone(read_vnc_password(domain()))

    def test_read_domain_drops_the_password(self) -> None:
        found = read_domain(domain("<graphics type='vnc' port='5900' passwd='abc123'/>"))
        self.assertNotIn("abc123", repr(found))


class RefusedTests(SynchronousTestCase):
    """Attacks, and XML that does not describe a domain."""

    def refused(self, xml: str) -> str:
        return str(self.assertRaises(DomainXMLError, read_domain, xml))

    def test_entity_bomb(self) -> None:
        lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
        bomb = f'<!DOCTYPE d [<!ENTITY l0 "lol">{lol}]><domain><name>&l8;</name></domain>'
        self.assertIn("DOCTYPE", self.refused(bomb))

    def test_external_entity(self) -> None:
        self.assertIn(
            "DOCTYPE",
            self.refused('<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain><name>&x;</name></domain>'),
        )

    def test_any_document_type(self) -> None:
        self.assertIn("DOCTYPE", self.refused(f"<!DOCTYPE domain>{domain()}"))

    def test_too_big(self) -> None:
        self.assertIn(str(MAX_XML), self.refused(domain(f"<!--{'x' * MAX_XML}-->")))

    def test_not_a_domain(self) -> None:
        for xml in (
            "",
            "<",
            "<domain>",
            "<network/>",
            "<domain/>",
            f"<domain><uuid>{UUID}</uuid></domain>",
            "\0",
            "\ud800",
        ):
            self.refused(xml)

    @untimed
    @given(st.text())
    def test_anything(self, text: str) -> None:
        with contextlib.suppress(DomainXMLError):
            read_domain(text)

    @untimed
    @given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"])))
    def test_anything_as_a_port(self, text: str) -> None:
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
        try:
            found = vnc(f"<graphics type='vnc' port='{escaped}'/>")
        except DomainXMLError:
            return  # characters that XML forbids
        self.assertTrue(found is not None and (found.port is None or 0 < found.port <= 65535))
