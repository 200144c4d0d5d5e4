"""The methods of one compute host, and its reports of wrong addresses."""

from uuid import UUID

from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.replies import MAX_LISTED
from novnc_twisted.contract import CONSOLE_TYPES, ConnectInfo
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
    ServiceUnavailable,
)
from tests.compute.harness import A, B, ComputeCase, domain


class ConsoleTests(ComputeCase):
    """get_vnc_console and validate_console_port."""

    async def setUp(self) -> None:
        await super().setUp()
        self.driver = await self.host(
            novncproxy_base_url="http://controlnode:6080/vnc_auto.html?path=",
            xvpvncproxy_base_url="http://controlnode:6081/console",
        )
        self.driver.add(domain())

    async def test_get_vnc_console(self) -> None:
        console = await self.call("get_vnc_console", instance_uuid=A, console_type="novnc")
        token = console.pop("token")
        self.assertEqual((str(UUID(token)), UUID(token).version), (token, 4))
        self.assertEqual(
            console,
            {
                "access_url": f"http://controlnode:6080/vnc_auto.html?path=%3Ftoken%3D{token}",
                "connect_info": ConnectInfo(
                    host="127.0.0.1",
                    port=5900,
                    instance_uuid=A,
                    name="myserver20",
                    compute_host="one",
                ).to_wire(),
            },
        )

    async def test_each_call_makes_a_new_token(self) -> None:
        tokens = {
            (await self.call("get_vnc_console", instance_uuid=A, console_type="novnc"))["token"] for _ in range(20)
        }
        self.assertEqual(len(tokens), 20)

    async def test_xvpvnc(self) -> None:
        console = await self.call("get_vnc_console", instance_uuid=A, console_type="xvpvnc")
        self.assertEqual(console["access_url"], f"http://controlnode:6081/console?token={console['token']}")

    async def test_an_invalid_port(self) -> None:
        """It is refused, because it would be logged."""
        for port in (-1, 65_536, "5900", [5900]):
            asked = self.call("validate_console_port", instance_uuid=A, console_type="novnc", port=port)
            await self.refused(ServiceUnavailable, asked)

    async def test_unix_socket(self) -> None:
        self.driver.add(domain(vnc=Vnc(socket="/run/vnc.sock")))
        place = await self.call("validate_console_port", instance_uuid=A, console_type="novnc", port=0)
        expected = {
            "host": "127.0.0.1",
            "port": 0,
            "socket": "/run/vnc.sock",
            "name": "myserver20",
            "owners": [],
            "state": "running",
        }
        self.assertEqual(place, expected)

    async def test_the_port_now(self) -> None:
        self.driver.add(domain(port=5944))
        place = await self.call("validate_console_port", instance_uuid=A.upper(), console_type="novnc", port=5900)
        self.assertEqual(place["port"], 5944)

    async def test_refusals(self) -> None:
        for kind, state in [
            (InstanceNotRunning, {"active": False, "state": "shutoff"}),
            (InstanceNotRunning, {"active": False, "vnc": None}),
            (InstanceNotRunning, {"vnc": Vnc()}),
            (InstanceNotRunning, {"state": "paused", "migrating": True}),
            (ConsoleTypeUnavailable, {"vnc": None}),
            (ConsoleTypeUnavailable, {"vnc": Vnc(nowhere=True)}),
        ]:
            self.driver.add(domain(**state))
            for method in ("get_vnc_console", "validate_console_port"):
                await self.refused(kind, self.call(method, instance_uuid=A, console_type="novnc"))

    async def test_a_fixed_port_of_a_stopped_domain_conflicts_with_none(self) -> None:
        self.driver.add(domain(active=False, port=5900), domain(B, port=5900))
        await self.refused(
            InstanceNotRunning, self.call("validate_console_port", instance_uuid=A, console_type="novnc")
        )
        await self.call("validate_console_port", instance_uuid=B, console_type="novnc")

    async def test_paused_has_a_console(self) -> None:
        self.driver.add(domain(state="paused", power_state=3))
        await self.call("get_vnc_console", instance_uuid=A, console_type="novnc")

    async def test_unknown(self) -> None:
        for uuid in (B, "myserver20", "", "../x", None, 5):
            for method in ("get_vnc_console", "validate_console_port"):
                await self.refused(InstanceNotFound, self.call(method, instance_uuid=uuid, console_type="novnc"))

    async def test_every_console_type_has_a_base_url(self) -> None:
        for console_type in CONSOLE_TYPES:
            answer = await self.call("get_vnc_console", instance_uuid=A, console_type=console_type)
            self.assertTrue(answer["access_url"].startswith("http://"), console_type)

    async def test_console_types(self) -> None:
        for console_type in ("spice-html5", "", None, [], {}):
            for method in ("get_vnc_console", "validate_console_port"):
                await self.refused(
                    ConsoleTypeUnavailable, self.call(method, instance_uuid=A, console_type=console_type)
                )

    async def test_a_console_type_that_a_host_does_not_have(self) -> None:
        """A missing or stopped server is reported first, because it may run on another host."""
        self.driver.add(domain(active=False, state="shutoff"))
        for uuid, refusal in ((A, InstanceNotRunning), (B, InstanceNotFound)):
            await self.refused(
                refusal, self.call("validate_console_port", instance_uuid=uuid, console_type="spice-html5")
            )
        await self.refused(InstanceNotFound, self.call("get_vnc_console", instance_uuid=B, console_type="spice-html5"))

    async def test_vnc_switched_off(self) -> None:
        driver = await self.host("off", vnc_enabled=False)
        driver.add(domain(), domain(B, active=False))
        for uuid in (A, B):
            await self.refused(
                ConsoleTypeUnavailable, self.call("get_vnc_console", "off", instance_uuid=uuid, console_type="novnc")
            )
        asked = {"instance_uuid": A, "console_type": "novnc"}
        await self.refused(ConsoleTypeUnavailable, self.call("validate_console_port", "off", **asked))
        asked = {"instance_uuid": B, "console_type": "novnc"}  # it may run on another host
        await self.refused(InstanceNotRunning, self.call("validate_console_port", "off", **asked))

    async def test_two_claim_one_port(self) -> None:
        other = domain(B, "other", vnc=Vnc(port=5900, listens=("10.0.0.5",)))
        self.driver.add(other)
        for _ in range(3):
            for uuid in (A, B):
                for method in ("get_vnc_console", "validate_console_port"):
                    await self.refused(ConsoleUnreachable, self.call(method, instance_uuid=uuid, console_type="novnc"))
        lines = [line for line in self.reports if "claim the same VNC address" in line]
        self.assertEqual(len(lines), 1, self.reports)
        self.driver.tell(Change.STOPPED, B)
        await self.refused(
            ConsoleUnreachable, self.call("validate_console_port", instance_uuid=A, console_type="novnc")
        )
        lines = [line for line in self.reports if "claim the same VNC address" in line]
        self.assertEqual(len(lines), 2, self.reports)

    async def test_two_claim_one_socket(self) -> None:
        self.driver.add(domain(vnc=Vnc(socket="/x")), domain(B, vnc=Vnc(socket="/x")))
        await self.refused(
            ConsoleUnreachable, self.call("validate_console_port", instance_uuid=A, console_type="novnc")
        )

    async def test_libvirt_is_down(self) -> None:
        self.driver.down = True
        for method in ("get_vnc_console", "validate_console_port"):
            await self.refused(ServiceUnavailable, self.call(method, instance_uuid=A, console_type="novnc"))
        await self.refused(ServiceUnavailable, self.call("list_instances"))

    async def test_stop(self) -> None:
        await self.managers["one"].stop()
        self.assertTrue(self.driver.stopped)
        await self.refused(ServiceUnavailable, self.call("list_instances"))


class PasswordTests(ComputeCase):
    """Only get_vnc_password reads the password."""

    async def test_password(self) -> None:
        driver = await self.host()
        driver.add(domain())
        self.assertEqual(await self.call("get_vnc_password", instance_uuid=A), {"password": None})
        driver.passwords[A] = "abc"
        self.assertEqual(await self.call("get_vnc_password", instance_uuid=A), {"password": "abc"})

    async def test_an_empty_one_is_none_to_use(self) -> None:
        driver = await self.host()
        driver.add(domain())
        driver.passwords[A] = ""
        await self.refused(ConsoleUnreachable, self.call("get_vnc_password", instance_uuid=A))

    async def test_nothing_else_asks_for_it(self) -> None:
        driver = await self.host()
        driver.add(domain())
        driver.passwords[A] = "abc123"
        answers = [
            await self.call("list_instances"),
            await self.call("get_instance", instance_uuid=A),
            await self.call("get_vnc_console", instance_uuid=A, console_type="novnc"),
            await self.call("validate_console_port", instance_uuid=A, console_type="novnc"),
            await self.call("get_instances_at_address", host="127.0.0.1", port=5900),
        ]
        self.assertNotIn("get_vnc_password", driver.asked)
        self.assertNotIn("abc123", repr(answers))


class InstanceTests(ComputeCase):
    """Lists, look-ups, and the servers at an address."""

    async def test_instance(self) -> None:
        driver = await self.host()
        driver.add(domain(project_id="p", project_name="demo", user_id="u", user_name="alice", created="2026"))
        expected = {
            "uuid": A,
            "name": "myserver20",
            "state": "running",
            "power_state": 1,
            "project_id": "p",
            "project_name": "demo",
            "user_id": "u",
            "user_name": "alice",
            "vcpus": 1,
            "memory_mb": 16,
            "created": "2026",
        }
        self.assertEqual(await self.call("get_instance", instance_uuid=A), expected)
        self.assertEqual(await self.call("list_instances"), {"instances": [expected], "more": False})
        await self.refused(InstanceNotFound, self.call("get_instance", instance_uuid=B))

    async def test_pages(self) -> None:
        """Each page fits into a message, even if names need escapes, and has fewer servers than a caller accepts."""
        driver = await self.host()
        for name, count in (('"' * 1024, 1000), ("\\" * 1024, 1000), ("😀" * 1024, 500), ("a", MAX_LISTED + 1)):
            driver.domains.clear()
            uuids = [f"{n:08x}-2222-3333-4444-555555555555" for n in range(count)]
            driver.add(*(Domain(uuid=uuid, name=name) for uuid in uuids))
            listed, after, more = list[str](), "", True
            while more:
                answer = await self.call("list_instances", after=after)
                page, more = [one["uuid"] for one in answer["instances"]], answer["more"]
                self.assertLess(len(page), MAX_LISTED)
                listed += page
                after = page[-1]
            self.assertEqual(listed, uuids)

    async def test_instances_at_an_address(self) -> None:
        driver = await self.host(server_proxyclient_address="10.0.0.5")
        driver.add(domain(), domain(B, vnc=Vnc(socket="/x")))
        for host, port, socket, expected in [
            ("10.0.0.5", 5900, None, [A]),
            ("10.0.0.5", 5901, None, []),
            ("10.0.0.6", 5900, None, []),
            ("10.0.0.6", 0, "/x", [B]),
            ("10.0.0.5", 0, None, []),
        ]:
            answer = await self.call("get_instances_at_address", host=host, port=port, socket=socket)
            self.assertEqual(answer, {"instances": expected}, (host, port, socket))
        driver.add(domain(active=False))
        self.assertEqual(await self.call("get_instances_at_address", host="10.0.0.5", port=5900), {"instances": []})

    async def test_presence(self) -> None:
        await self.host(server_proxyclient_address="10.0.0.5")
        (service,) = await self.transport.services("compute.")
        self.assertEqual((service.topic, service.binary, service.host), ("compute.one", "nova-compute", "one"))
        self.assertEqual(service.info, {"server_proxyclient_address": "10.0.0.5"})


class ReportTests(ComputeCase):
    """A wrong listen address is reported once, with the line that fixes it."""

    async def test_once_for_each_domain(self) -> None:
        driver = await self.host(server_proxyclient_address="10.0.0.5")
        driver.add(domain(), domain(B, "other", vnc=Vnc(port=5901, listens=("0.0.0.0",))))
        driver.tell(Change.CONNECTED)
        driver.tell(Change.STARTED, A)
        for _ in range(3):
            await self.call("get_vnc_console", instance_uuid=A, console_type="novnc")
        self.assertEqual(len(self.reports), 2, self.reports)
        self.assertIn(f"myserver20 ({A}) listens on 127.0.0.1, but the proxies connect to", self.reports[0])
        self.assertIn("<listen type='address' address='10.0.0.5'/>", self.reports[0])
        self.assertIn("listens on 0.0.0.0, which server_listen 127.0.0.1 does not permit", self.reports[1])

    async def test_one_line_whatever_the_xml_holds(self) -> None:
        driver = await self.host(server_proxyclient_address="10.0.0.5")
        driver.add(domain(A, "名\u3000前\u2028x", vnc=Vnc(port=5901, listens=("fe80::1%a\n2026 forged line",))))
        driver.tell(Change.STARTED, A)
        (line,) = self.reports
        self.assertIn("名\u3000前?x", line)
        self.assertIn("fe80::1%a?2026 forged line", line)

    async def test_again_after_it_was_stopped(self) -> None:
        driver = await self.host(server_proxyclient_address="10.0.0.5")
        driver.add(domain())
        driver.tell(Change.STARTED, A)
        driver.tell(Change.STOPPED, A)
        driver.tell(Change.STARTED, A)
        self.assertEqual(len(self.reports), 2)

    async def test_the_address_is_used_nevertheless(self) -> None:
        driver = await self.host(server_proxyclient_address="10.0.0.5")
        driver.add(domain())
        console = await self.call("get_vnc_console", instance_uuid=A, console_type="novnc")
        self.assertEqual(console["connect_info"]["host"], "10.0.0.5")

    async def test_a_stopped_domain_is_not_reported(self) -> None:
        driver = await self.host()
        driver.add(domain(active=False, vnc=Vnc(port=5900, listens=("0.0.0.0",))))
        driver.tell(Change.CONNECTED)
        self.assertEqual(self.reports, [])

    async def test_libvirt_is_down(self) -> None:
        driver = await self.host()
        driver.down = True
        driver.tell(Change.CONNECTED)
        driver.tell(Change.STARTED, A)
        self.assertEqual(self.reports, [])
