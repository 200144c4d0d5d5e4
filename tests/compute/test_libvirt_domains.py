"""Lists of domains: which domains are read again, and the effect of one broken domain on the others."""

import libvirt
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute.domain_xml import MAX_XML, DomainXMLError
from novnc_twisted.compute.libvirt.domains import MAX_AGE, MAX_AGED, DomainReader
from tests.compute.libvirt_handles import Connection, Error, Handle


def uuid_of(number: int) -> str:
    return f"aaaaaaaa-2222-3333-4444-{number:012}"


class ReaderCase(SynchronousTestCase):
    """Three domains; libvirt reports every change of them."""

    def setUp(self) -> None:
        self.time = 0.0
        self.reader = DomainReader(lambda: self.time)
        self.handles = [Handle(uuid_of(number), f"vm-{number}", number) for number in range(3)]
        self.connection = Connection(*self.handles)
        self.reader.watched(True)

    def projects(self) -> list[str | None]:
        found, _ = self.reader.all(self.connection)
        return [domain.project_id for domain in found]

    def reads(self) -> int:
        return sum(handle.read for handle in self.connection.handles)


class ListTests(ReaderCase):
    """Which domains a list reads again."""

    def test_xml_is_read_once(self) -> None:
        for _ in range(5):
            self.assertEqual(self.projects(), ["red"] * 3)
        self.assertEqual(self.reads(), 3)

    def test_states_are_read_each_time(self) -> None:
        self.reader.all(self.connection)
        self.handles[0].current = libvirt.VIR_DOMAIN_PAUSED
        found, _ = self.reader.all(self.connection)
        self.assertEqual([domain.state for domain in found], ["paused", "running", "running"])
        self.assertEqual(self.reads(), 3)

    def test_an_event_has_its_domain_read_again(self) -> None:
        self.reader.all(self.connection)
        self.handles[1].project = "blue"
        self.reader.changed(uuid_of(1))
        self.assertEqual(self.projects(), ["red", "blue", "red"])
        self.assertEqual(self.reads(), 4)

    def test_an_event_while_the_xml_is_read(self) -> None:
        """XML that was read before the event may be older than the change, so it is read again."""
        handle = self.handles[0]
        original = handle.XMLDesc

        def changing(flags: int = 0) -> str:
            xml = original(flags)
            handle.project = "blue"
            self.reader.changed(handle.uuid)
            handle.XMLDesc = original  # type: ignore[method-assign]
            return xml

        handle.XMLDesc = changing  # type: ignore[method-assign]
        self.reader.all(self.connection)
        self.assertEqual(self.projects()[0], "blue")

    def test_started_stopped_and_renamed_without_an_event(self) -> None:
        self.reader.all(self.connection)
        self.handles[0].number, self.handles[0].current = -1, libvirt.VIR_DOMAIN_SHUTOFF
        self.handles[1].number = 77
        self.handles[2].label = "renamed"
        found, _ = self.reader.all(self.connection)
        self.assertEqual(
            [(one.name, one.active) for one in found], [("vm-0", False), ("vm-1", True), ("renamed", True)]
        )

    def test_gone_and_new_without_an_event(self) -> None:
        self.reader.all(self.connection)
        self.connection.handles = [self.handles[2], Handle(uuid_of(9), "vm-9", 9)]
        found, _ = self.reader.all(self.connection)
        self.assertEqual([domain.name for domain in found], ["vm-2", "vm-9"])

    def test_without_events_everything_is_read_each_time(self) -> None:
        self.reader.watched(False)
        self.reader.all(self.connection)
        self.handles[2].project = "blue"
        self.assertEqual(self.projects(), ["red", "red", "blue"])

    def test_changes_missed_without_events(self) -> None:
        self.reader.all(self.connection)
        self.reader.watched(False)
        self.handles[2].project = "blue"
        self.reader.watched(True)
        self.assertEqual(self.projects(), ["red", "red", "blue"])

    def test_a_change_without_an_event_is_found_with_time(self) -> None:
        """One list reads at most MAX_AGED old readings again."""
        self.connection.handles = [Handle(uuid_of(number), f"vm-{number}", number) for number in range(2 * MAX_AGED)]
        self.reader.all(self.connection)
        for handle in self.connection.handles:
            handle.project = "blue"
        self.assertEqual(self.projects().count("blue"), 0)
        self.time += MAX_AGE
        self.assertEqual(self.projects().count("blue"), MAX_AGED)
        self.assertEqual(self.projects().count("blue"), 2 * MAX_AGED)

    def test_another_thread_reads_a_domain_meanwhile(self) -> None:
        """Another thread adds a domain while the list is being sorted."""
        reader, new = self.reader, Handle(uuid_of(9), "vm-9", 9)

        class Moment(float):
            def __le__(self, other: float) -> bool:
                reader.fresh(new)
                return float(self) <= other

        self.time = Moment(1.0)
        self.reader.all(self.connection)
        self.assertEqual(self.projects(), ["red"] * 3)

    def test_a_libvirt_without_statistics(self) -> None:
        self.connection.stats = False
        self.assertEqual(self.projects(), ["red"] * 3)

    def test_fresh_reads_the_xml_each_time(self) -> None:
        for project in ("red", "blue", "green"):
            self.handles[0].project = project
            self.assertEqual(self.reader.fresh(self.handles[0]).project_id, project)


class BrokenTests(ReaderCase):
    """A domain that cannot be read is named, and the others are listed."""

    def test_each_kind(self) -> None:
        broken = self.handles[1]
        for body, error, reason in [
            ("", Error(libvirt.VIR_ERR_INTERNAL_ERROR), "refused by the test"),
            ("", Error(libvirt.VIR_ERR_ACCESS_DENIED), "refused by the test"),
            ("", UnicodeDecodeError("utf-8", b"x", 0, 1, "secret"), "UnicodeDecodeError"),
            ("", RecursionError(), "RecursionError"),
            ("<broken", None, "not well-formed XML"),
            ("\x01", None, "not well-formed XML"),
            (" " * MAX_XML, None, "longer than"),
        ]:
            broken.body, broken.error = body, error
            self.reader.distrust()
            found, unreadable = self.reader.all(self.connection)
            self.assertEqual([domain.name for domain in found], ["vm-0", "vm-1", "vm-2"])
            self.assertEqual((found[1].state, found[1].project_id, found[1].vnc), ("running", None, None))
            self.assertEqual([(one.uuid, one.name) for one in unreadable], [(uuid_of(1), "vm-1")])
            self.assertIn(reason, unreadable[0].reason)
        broken.body, broken.error = "", None
        self.assertEqual(self.reader.all(self.connection)[1], [])

    def test_a_broken_domain_read_alone(self) -> None:
        for body, error in (("<broken", None), ("", UnicodeDecodeError("utf-8", b"x", 0, 1, "secret"))):
            self.handles[1].body, self.handles[1].error = body, error
            refusal = self.assertRaises(DomainXMLError, self.reader.fresh, self.handles[1])
            self.assertIn(uuid_of(1), str(refusal))
            self.assertNotIn("secret", str(refusal))

    def test_xml_of_any_depth(self) -> None:
        depth = 400_000
        self.handles[1].body = "<a>" * depth + "</a>" * depth
        found, unreadable = self.reader.all(self.connection)
        self.assertEqual(([domain.name for domain in found], unreadable), (["vm-0", "vm-1", "vm-2"], []))

    def test_a_domain_that_ends_while_it_is_read(self) -> None:
        self.handles[1].error = Error(libvirt.VIR_ERR_NO_DOMAIN)
        found, unreadable = self.reader.all(self.connection)
        self.assertEqual(([domain.name for domain in found], unreadable), (["vm-0", "vm-2"], []))

    def test_the_connection_died(self) -> None:
        self.handles[1].error = Error(libvirt.VIR_ERR_INTERNAL_ERROR)
        self.connection.alive = False
        self.assertRaises(libvirt.libvirtError, self.reader.all, self.connection)
