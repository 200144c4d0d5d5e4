"""Listen addresses of VMs, compared with the options and the address that the proxies use."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute.domain_xml import Vnc
from novnc_twisted.compute.listening import complaint

# listens, server_listen, server_proxyclient_address, part of the complaint
CASES = [
    (["127.0.0.1"], "127.0.0.1", "127.0.0.1", None),
    (["127.0.0.1"], "127.0.0.1", "localhost", None),
    (["::1"], "::1", "::1", None),
    (["10.0.0.5"], "10.0.0.5", "10.0.0.5", None),
    (["10.0.0.5"], "127.0.0.1", "10.0.0.5", None),
    (["0.0.0.0"], "0.0.0.0", "10.0.0.5", None),
    (["::"], "::", "10.0.0.5", None),
    (["0.0.0.0"], "127.0.0.1", "127.0.0.1", "does not permit"),
    (["0.0.0.0"], "127.0.0.1", "10.0.0.5", "does not permit"),
    (["::"], "127.0.0.1", "127.0.0.1", "does not permit"),
    (["127.0.0.1", "192.0.2.1"], "127.0.0.1", "127.0.0.1", "does not permit"),
    (["0.0.0.0"], "127.0.0.1", "controlnode", "does not permit"),
    (["127.0.0.1"], "127.0.0.1", "10.0.0.5", "can't reach"),
    (["10.0.0.6"], "10.0.0.5", "10.0.0.5", "can't reach"),
    (["0.0.0.0"], "::", "2001:db8::5", "can't reach"),
    # names are not resolved: without a certain fault there is no complaint
    (["127.0.0.1"], "127.0.0.1", "controlnode", None),
    (["10.0.0.5"], "127.0.0.1", "controlnode", None),
    (["controlnode"], "controlnode", "controlnode", None),
    ([], "127.0.0.1", "127.0.0.1", None),
]


class ComplaintTests(SynchronousTestCase):
    """The table of cases."""

    def test_cases(self) -> None:
        for listens, meant, dialled, expected in CASES:
            said = complaint(Vnc(port=5900, listens=tuple(listens)), meant, dialled)
            if expected is None:
                self.assertIsNone(said, (listens, meant, dialled))
            else:
                self.assertIn(expected, said or "", (listens, meant, dialled))
                self.assertIn(f"<listen type='address' address='{dialled}'/>", said or "")
                self.assertIn(f'vnc_listen = "{dialled}"', said or "")

    def test_nothing_to_say(self) -> None:
        for vnc in (Vnc(), Vnc(socket="/x"), Vnc(nowhere=True), Vnc(listens=("0.0.0.0",))):
            self.assertIsNone(complaint(vnc, "127.0.0.1", "127.0.0.1"))
