from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, instance, publish, running, uuid_of


class ServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        one = instance("myserver20", project_id="p-1", project_name="red", user_id="u-1")
        two = instance("myserver2", state="shutoff", power_state=4, vcpus=2, memory_mb=1024)
        self.system = running(self, NoAuth(), FakeHost("host1", one, two), FakeHost("host2", instance("a.b+(c")))

    def names(self, query: str) -> list[str]:
        answer = self.system.get(f"/v2.1/servers{query}")
        self.assertEqual(answer.status, 200)
        return [server["name"] for server in answer.body["servers"]]

    def test_list(self) -> None:
        answer = self.system.get("/v2.1/servers")
        self.assertEqual([set(server) for server in answer.body["servers"]], [{"id", "name", "links"}] * 3)
        self.assertEqual(self.names(""), ["a.b+(c", "myserver2", "myserver20"])
        self.assertNotIn("servers_links", answer.body)

    def test_show(self) -> None:
        uuid = uuid_of("myserver20")
        for path in (f"/v2.1/servers/{uuid}", f"/v2.1/servers/{uuid.upper()}", f"/v2.1/servers/{uuid}/"):
            server = self.system.get(path).body["server"]
            self.assertEqual((server["id"], server["name"], server["status"]), (uuid, "myserver20", "ACTIVE"))
        self.assertEqual((server["tenant_id"], server["user_id"]), ("p-1", "u-1"))
        self.assertEqual(server["OS-EXT-STS:power_state"], 1)
        self.assertEqual(server["OS-EXT-SRV-ATTR:host"], "host1")
        self.assertEqual(server["flavor"]["id"], "1vcpu-512mb")
        self.assertEqual(
            server["links"],
            [
                {"rel": "self", "href": f"http://localhost:8774/v2.1/servers/{uuid}"},
                {"rel": "bookmark", "href": f"http://localhost:8774/servers/{uuid}"},
            ],
        )

    def test_stopped(self) -> None:
        server = self.system.get(f"/v2.1/servers/{uuid_of('myserver2')}").body["server"]
        self.assertEqual((server["status"], server["OS-EXT-STS:vm_state"]), ("SHUTOFF", "stopped"))

    def test_progress(self) -> None:
        """Only active servers have a progress.  (nova also shows it in states that libvirt does not have.)"""
        states = {"running": "ACTIVE", "paused": "PAUSED", "suspended": "SUSPENDED", "shutoff": "SHUTOFF"}
        system = running(self, NoAuth(), FakeHost("host1", *(instance(state, state=state) for state in states)))
        for server in system.get("/v2.1/servers/detail").body["servers"]:
            self.assertEqual(server["status"], states[server["name"]])
            self.assertEqual(server.get("progress"), 0 if server["status"] == "ACTIVE" else None)

    def test_shape_grows_with_the_version(self) -> None:
        path = f"/v2.1/servers/{uuid_of('myserver20')}"
        fields = {
            version: set(self.system.get(path, X_OpenStack_Nova_API_Version=version).body["server"])
            for version in ("2.1", "2.3", "2.9", "2.16", "2.19", "2.26", "2.31")
        }
        self.assertNotIn("OS-EXT-SRV-ATTR:hostname", fields["2.1"])
        self.assertIn("OS-EXT-SRV-ATTR:hostname", fields["2.3"])
        for earlier, version, field in (
            ("2.3", "2.9", "locked"),
            ("2.9", "2.16", "host_status"),
            ("2.16", "2.19", "description"),
            ("2.19", "2.26", "tags"),
        ):
            self.assertEqual(fields[version] - fields[earlier], {field})
        self.assertEqual(fields["2.31"], fields["2.26"])

    def test_unknown(self) -> None:
        for name in ("myserver20", "6f666601-0101-4101-8101-010101010101", "%3Cscript%3E", "a%2Fb", "%ff%00"):
            answer = self.system.get(f"/v2.1/servers/{name}")
            self.assertEqual(answer.status, 404)
            self.assertRegex(answer.body["itemNotFound"]["message"], r"(?s)^Instance .* could not be found\.$")
            self.assertEqual(answer["content-type"], "application/json; charset=UTF-8")

    def test_an_id_in_another_form(self) -> None:
        """Only the usual form of a UUID finds the server, as in nova."""
        identity = uuid_of("myserver20")
        wide = "".join(chr(ord(letter) + 0xFEE0) if letter.isdigit() else letter for letter in identity)
        for written in (identity.replace("-", ""), f"{{{identity}}}", f"urn:uuid:{identity}", f"{identity}-", wide):
            self.assertEqual(self.system.get(f"/v2.1/servers/{quote(written)}").status, 404, written)

    def test_name_is_a_literal_substring(self) -> None:
        self.assertEqual(self.names("?name=myserver2"), ["myserver2", "myserver20"])
        self.assertEqual(self.names("?name=myserver20"), ["myserver20"])
        self.assertEqual(self.names("?name=.*"), [])
        self.assertEqual(self.names("?name=b%2B(c"), ["a.b+(c"])
        self.assertEqual(self.names("?name=(a%2B)%2B%24"), [])

    def test_other_filters(self) -> None:
        self.assertEqual(self.names("?status=shutoff"), ["myserver2"])
        self.assertEqual(self.names("?host=host2"), ["a.b+(c"])
        self.assertEqual(self.names("?project_id=red"), ["myserver20"])
        self.assertEqual(self.names("?deleted=True"), [])
        self.assertEqual(len(self.names("?deleted=False&all_tenants=1&sort_key=x&unknown=y")), 3)

    def test_pages(self) -> None:
        seen: list[str] = []
        path = "/v2.1/servers/detail?limit=1&name=e"
        while path:
            body = self.system.get(path).body
            seen += [server["name"] for server in body["servers"]]
            links = body.get("servers_links", [])
            path = links[0]["href"].removeprefix("http://localhost:8774") if links else ""
        self.assertEqual(seen, ["myserver2", "myserver20"])

    def test_the_marker_may_fail_the_filter(self) -> None:
        self.assertEqual(self.names(f"?status=active&marker={uuid_of('myserver2')}"), ["myserver20"])

    def test_bad_pages(self) -> None:
        answer = self.system.get("/v2.1/servers?marker=x")
        self.assertEqual(answer.body, {"badRequest": {"code": 400, "message": "marker [x] not found"}})
        for limit in ("-1", "x", "1.5", "%D9%A1", "9" * 5000, "x&limit=1", "1&limit=-1", "", "1%0A", "0x1", "1_0"):
            self.assertEqual(self.system.get(f"/v2.1/servers?limit={limit}").status, 400)
        message = self.system.get("/v2.1/servers?limit=x").body["badRequest"]["message"]
        self.assertEqual(message, "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'")
        for limit in ("", "9" * 4001):  # they match, but are empty or too long
            message = self.system.get(f"/v2.1/servers?limit={limit}").body["badRequest"]["message"]
            self.assertEqual(message, "Invalid input received: limit must be an integer")
        self.assertEqual(self.names("?limit=0"), [])
        for limit in ("9" * 4000, "1&limit=3"):
            self.assertEqual(len(self.names(f"?limit={limit}")), 3)

    def test_project_in_the_url(self) -> None:
        answer = self.system.get("/v2.1/p%2F1/servers")
        self.assertEqual(answer.status, 200)
        href = answer.body["servers"][0]["links"][0]["href"]
        self.assertTrue(href.startswith("http://localhost:8774/v2.1/p%2F1/servers/"), href)

    def test_wrong_method_and_path(self) -> None:
        answer = self.system.ask("PUT", "/v2.1/servers")
        self.assertEqual((answer.status, answer["allow"]), (405, "GET"))
        self.assertIn("badMethod", answer.body)
        self.assertEqual(self.system.get("/v2.1/nothing").status, 404)
        self.assertEqual(self.system.get("/v2.1//servers").status, 200)

    def test_flavors(self) -> None:
        flavors = self.system.get("/v2.1/flavors/detail?is_public=None").body["flavors"]
        self.assertEqual([flavor["name"] for flavor in flavors], ["1vcpu-512mb", "2vcpu-1024mb"])
        flavor = self.system.get("/v2.1/flavors/2vcpu-1024mb").body["flavor"]
        self.assertEqual((flavor["vcpus"], flavor["ram"]), (2, 1024))
        self.assertEqual(self.system.get("/v2.1/flavors/1").status, 404)
        self.assertEqual(len(self.system.get("/v2.1/flavors").body["flavors"]), 2)

    def test_image_stub(self) -> None:
        self.assertEqual(self.system.get("/image").status, 300)
        self.assertEqual(self.system.get("/image/v2/images?id=in%3A").body["images"], [])
        self.assertEqual(self.system.get("/image/v2/else").status, 404)


class MissingHostTests(SynchronousTestCase):
    def test_no_compute_host(self) -> None:
        system = running(self, NoAuth())
        for path in ("/v2.1/servers", "/v2.1/servers/detail?name=x", f"/v2.1/servers/{uuid_of('one')}"):
            answer = system.get(path)
            self.assertEqual(answer.status, 503)
            self.assertEqual(
                answer.body["serviceUnavailable"]["message"],
                "The console service is not available. Try again in a moment.",
            )

    def test_a_state_that_libvirt_does_not_know(self) -> None:
        """The status of the server is unknown, but its host is alive."""
        system = running(self, NoAuth(), FakeHost("host1", instance("one", state="nostate", power_state=0)))
        path = f"/v2.1/servers/{uuid_of('one')}"
        server = system.get(path, X_OpenStack_Nova_API_Version="2.31").body["server"]
        self.assertEqual((server["status"], server["host_status"]), ("UNKNOWN", "UP"))

    def test_a_host_that_died(self) -> None:
        """Its servers are listed with the status UNKNOWN, as in nova; a request for one of them fails with 503."""
        one, two = instance("one", project_id="p-1"), instance("two")
        system = running(self, NoAuth(), FakeHost("host1", one, two), FakeHost("host2", instance("three")))
        publish(self, system, "host1", one, two)
        self.successResultOf(system.undo[0]())
        answer = system.get("/v2.1/servers/detail", X_OpenStack_Nova_API_Version="2.31")
        self.assertEqual(
            [(server["name"], server["status"], server["host_status"]) for server in answer.body["servers"]],
            [("one", "UNKNOWN", "UNKNOWN"), ("three", "ACTIVE", "UP"), ("two", "UNKNOWN", "UNKNOWN")],
        )
        for query, names in (("?name=one", ["one"]), ("?status=UNKNOWN", ["one", "two"]), ("?name=never", [])):
            listed = system.get(f"/v2.1/servers/detail{query}").body["servers"]
            self.assertEqual([server["name"] for server in listed], names)
        self.assertEqual(system.get(f"/v2.1/servers/{uuid_of('one')}").status, 503)
        self.assertEqual(system.get(f"/v2.1/servers/{uuid_of('never')}").status, 404)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        path = f"/v2.1/servers/{uuid_of('one')}/remote-consoles"
        asked = system.post(path, body, X_OpenStack_Nova_API_Version="2.31")
        self.assertEqual(asked.status, 503)

    def test_pages_of_published_servers(self) -> None:
        """No host is asked; the servers of live and dead hosts are sorted together."""
        hosts = [FakeHost(f"host{number}") for number in range(5)]
        system = running(self, NoAuth(), *hosts)
        for number, host in enumerate(hosts):
            servers = [instance(f"{index:02}-of-{number}", project_id=f"p-{index % 3}") for index in range(10)]
            publish(self, system, host.name, *servers)
            host.list_instances = None  # type: ignore[assignment,method-assign]
        self.successResultOf(system.undo[4]())
        for query, count in (("", 50), ("&project_id=p-1", 15), ("&status=unknown", 10), ("&name=03-of", 5)):
            seen: list[str] = []
            path = f"/v2.1/servers/detail?limit=4{query}"
            while path:
                body = system.get(path).body
                seen += [server["name"] for server in body["servers"]]
                links = body.get("servers_links", [])
                path = links[0]["href"].removeprefix("http://localhost:8774") if links else ""
            self.assertEqual((len(seen), seen), (count, sorted(set(seen))))

    def test_a_server_that_is_gone(self) -> None:
        """Its host is alive, but no longer has it."""
        host = FakeHost("host1", instance("one"), instance("two"))
        system = running(self, NoAuth(), host)
        system.get("/v2.1/servers")
        host.instances.clear()
        self.assertEqual(system.get("/v2.1/servers?name=one").body, {"servers": []})
        self.assertEqual(system.get(f"/v2.1/servers/{uuid_of('two')}").status, 404)

    def test_a_host_that_hangs(self) -> None:
        """The host is present but does not answer, so its servers may still run."""
        host = FakeHost("host1", instance("one"))
        system = running(self, NoAuth(), host, FakeHost("host2", instance("two")))
        publish(self, system, "host1", instance("one"))

        async def silent(**_: Any) -> Any:
            await Deferred()

        host.list_instances = host.get_instance = silent  # type: ignore[method-assign]
        self.successResultOf(system.undo[0]())
        self.successResultOf(Deferred.fromCoroutine(host.serve(system.transport)))
        for path, delay, status in (("?name=one", 2.0, 200), (f"/{uuid_of('one')}", 5.0, 503)):
            connection = system.send("GET", f"/v2.1/servers{path}")
            system.reactor.advance(delay)
            self.assertEqual([answer.status for answer in connection.answers()], [status])

    def test_a_host_without_servers(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1"))
        self.assertEqual(system.get("/v2.1/servers").body, {"servers": []})


class ServicesTests(SynchronousTestCase):
    def test_list(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1"), FakeHost("host2"))
        for binary in ("nova-novncproxy", "nova-novncproxy", "nova-xvpvncproxy", "other"):
            self.successResultOf(system.transport.announce(f"{binary}.c", binary=binary, host="c"))
        services = system.get("/v2.1/os-services", X_OpenStack_Nova_API_Version="2.31").body["services"]
        self.assertEqual(
            [(row["binary"], row["host"], row["zone"]) for row in services],
            [
                ("nova-compute", "host1", "nova"),
                ("nova-compute", "host2", "nova"),
                ("nova-consoleauth", "controller", "internal"),
                ("nova-novncproxy", "c", "internal"),
                ("nova-xvpvncproxy", "c", "internal"),
            ],
        )
        self.assertEqual(
            services[0],
            {
                "id": services[0]["id"],
                "binary": "nova-compute",
                "host": "host1",
                "zone": "nova",
                "status": "enabled",
                "state": "up",
                "updated_at": services[0]["updated_at"],
                "disabled_reason": None,
                "forced_down": False,
            },
        )
        self.assertEqual(len({row["id"] for row in services}), 5)
        self.assertEqual(len(system.get("/v2.1/os-services?binary=nova-compute").body["services"]), 2)
        self.assertEqual(len(system.get("/v2.1/os-services?host=c").body["services"]), 2)
