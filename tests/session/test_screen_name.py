"""The name in ServerInit must be the name of the VM that was asked for."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.session.screen_name import check_name, check_template
from tests.support.untimed import untimed

UUID = "5e7f0000-0000-4000-8000-00000000000b"


def info(**more: str) -> ConnectInfo:
    return ConnectInfo(
        host="h", port=1, **{"name": "web", "instance_name": "instance-1", "instance_uuid": UUID, **more}
    )


class NameTests(SynchronousTestCase):
    def passes(self, shown: bytes, name_check: str = "auto", **more: str) -> None:
        check_name(shown, info(**more), name_check)

    def refused(self, shown: bytes, name_check: str = "auto", **more: str) -> str:
        with self.assertRaises(ConsoleUnreachable) as caught:
            check_name(shown, info(**more), name_check)
        return caught.exception.detail

    def test_qemu(self) -> None:
        self.passes(b"QEMU (instance-1)")
        for shown in (b"QEMU (instance-2)", b"QEMU (instance-1", b"QEMU ()", b"QEMU (instance-1) ", b"QEMU (web)"):
            if shown.startswith(b"QEMU (") and shown.endswith(b")"):
                self.assertIn("instance-1", self.refused(shown))
            else:
                self.passes(shown)

    def test_other_servers(self) -> None:
        for shown in (b"", b"QEMU", b"fake", b"instance-2", b"qemu (instance-2)", b"\\xff\\x00", b"x QEMU (a)"):
            self.passes(shown)

    def test_a_name_that_is_not_known(self) -> None:
        self.passes(b"QEMU (instance-2)", instance_name="")
        self.passes(b"anything", "{instance_name}", instance_name="")

    def test_off(self) -> None:
        self.passes(b"QEMU (instance-2)", "off")

    def test_templates(self) -> None:
        self.passes(b"vm web/instance-1", "vm {name}/{instance_name}")
        self.passes(UUID.encode(), "{uuid}")
        for shown in (b"", b"vm web", b"vm web/instance-12", b"xvm web/instance-1"):
            self.refused(shown, "vm {name}/{instance_name}")
        self.refused(b"{name}", "{name}", name="a{name}")

    def test_a_long_name_is_cut_by_qemu(self) -> None:
        """snprintf() writes 1023 bytes and a NUL into the buffer, and QEMU sends the whole buffer."""
        template = "QEMU ({instance_name})"
        for length in (1016, 1017, 2000):
            long = "n" * length
            sent = f"QEMU ({long})".encode()
            cut = sent if len(sent) < 1024 else sent[:1023] + b"\0"
            for name_check in ("auto", template):
                self.passes(cut, name_check, instance_name=long)
                self.passes(sent, name_check, instance_name=long)
            self.refused(cut.replace(b"n", b"m", 1), template, instance_name=long)

    @untimed
    @given(st.text(min_size=1, max_size=300).filter(lambda text: text.isprintable()))
    def test_names_of_any_language(self, name: str) -> None:
        self.passes(f"QEMU ({name})".encode(), instance_name=name)
        self.refused(f"QEMU ({name}x)".encode(), instance_name=name)

    @untimed
    @given(st.binary(max_size=40))
    def test_any_bytes(self, shown: bytes) -> None:
        self.refused(b"QEMU (" + shown + b"!)")

    def test_templates_that_make_no_sense(self) -> None:
        for text in ("auto", "off", "{name}", "a{uuid}b{instance_name}"):
            self.assertEqual(check_template(text), text)
        for text in ("", "on", "QEMU", "{host}", "{}", "{name} {port}"):
            self.assertRaises(ValueError, check_template, text)
