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
    # names are not resolved: no complaint unless the fault is certain
    (["127.0.0.1"], "127.0.0.1", "controlnode", None),
    (["10.0.0.5"], "127.0.0.1", "controlnode", None),
    (["controlnode"], "controlnode", "controlnode", None),
    ([], "127.0.0.1", "127.0.0.1", None),
]


class ComplaintTests(SynchronousTestCase):
    def test_cases(self) -> None:
        for listens, server_listen, address, expected in CASES:
            found = complaint(Vnc(port=5900, listens=tuple(listens)), server_listen, address)
            if expected is None:
                self.assertIsNone(found, (listens, server_listen, address))
            else:
                self.assertIn(expected, found or "", (listens, server_listen, address))
                self.assertIn(f"<listen type='address' address='{address}'/>", found or "")
                self.assertIn(f'vnc_listen = "{address}"', found or "")

    def test_without_a_port(self) -> None:
        for vnc in (Vnc(), Vnc(socket="/x"), Vnc(nowhere=True), Vnc(listens=("0.0.0.0",))):
            self.assertIsNone(complaint(vnc, "127.0.0.1", "127.0.0.1"))
