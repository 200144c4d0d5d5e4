"""The filters of the list of servers as query parameters, without the script of the list."""

import re
from html import unescape

from novnc_twisted.api.portal import portal
from tests.api.harness import publish, uuid_of
from tests.api.test_portal import PortalCase


class FilterTests(PortalCase):
    def setUp(self) -> None:
        super().setUp()
        (host,) = self.system.hosts
        for one in host.instances.values():
            one["state"] = "shutoff" if one["name"] == "blue-vm" else "running"
        publish(self, self.system, "host1", *host.instances.values())

    def listed(self, query: str) -> list[str]:
        """Return the names of the servers in the table."""
        return re.findall(r'<th scope="row"><a [^>]*>([^<]*)<', self.visit(f"/console/?{query}").raw.decode())

    def test_each_filter(self) -> None:
        self.log_in("root", "toor")
        every = self.listed("")
        self.assertGreaterEqual(set(every), {"red-vm", "blue-vm"})
        for query, names in (
            ("name=RED", ["red-vm"]),
            (f"name={uuid_of('blue-vm')[:8]}", ["blue-vm"]),
            ("state=SHUTOFF", ["blue-vm"]),
            ("state=NONE", []),
            ("project=red", ["red-vm"]),
            ("host=host1", every),
            ("host=host2", []),
            ("project=blue&state=SHUTOFF&host=host1&name=vm", ["blue-vm"]),
            ("project=blue&state=ACTIVE", []),
        ):
            self.assertEqual(self.listed(query), names, query)

    def test_the_host_is_for_administrators(self) -> None:
        """The filter must not reveal to other users where a server runs."""
        self.log_in()
        self.assertEqual(self.listed("project=red"), ["red-vm"])
        self.assertEqual(self.listed("host=host1"), [])

    def test_the_form_and_the_next_page_keep_them(self) -> None:
        self.patch(portal, "PAGE_SIZE", 1)
        self.log_in("root", "toor")
        page = self.visit("/console/?name=vm&state=ACTIVE&project=&host=host1").raw.decode()
        self.assertIn('<input name="name" type="search" value="vm">', page)
        self.assertEqual(re.findall(r'value="([^"]*)" selected', page), ["ACTIVE"])
        self.assertIn('<input name="host" value="host1">', page)
        self.assertIn('<option value="X&amp;" selected>', self.visit("/console/?state=X%26").raw.decode())
        (more,) = re.findall(r'href="([^"]*marker=[^"]*)"', self.visit("/console/?host=host1").raw.decode())
        self.assertTrue(unescape(more).endswith("&host=host1"), more)
        self.assertEqual(len(self.listed(unescape(more).partition("?")[2])), 1)
