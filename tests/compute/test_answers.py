"""Replies of compute hosts are checked: a host can answer only for itself, and in the right form."""

from typing import Any

from novnc_twisted.compute import replies
from novnc_twisted.compute.replies import MAX_LISTED
from novnc_twisted.errors import ServiceUnavailable
from tests.compute.harness import A, B, ComputeCase, domain
from tests.support.logged import Logged

INSTANCE: dict[str, Any] = {
    "uuid": A,
    "name": "myserver20",
    "state": "running",
    "power_state": 1,
    "project_id": "evil",
    "project_name": None,
    "user_id": None,
    "user_name": None,
    "vcpus": 1,
    "memory_mb": 16,
    "created": None,
    "host": "one",
}
CONSOLE: dict[str, Any] = {
    "token": "34ce7a44-6186-43d8-be14-2ea9e028b8fa",
    "access_url": "http://x/?token=34ce7a44-6186-43d8-be14-2ea9e028b8fa",
    "connect_info": {
        "host": "10.0.0.66",
        "port": 5900,
        "instance_uuid": B,
        "name": "myserver20",
        "console_type": "novnc",
        "compute_host": "one",
        "user_id": "root",
        "project_id": "evil",
    },
}


class LyingHostTests(ComputeCase):
    """The host ``liar`` gives the answers that the test sets; the host ``one`` gives true ones."""

    async def setUp(self) -> None:
        await super().setUp()
        self.answers: dict[str, Any] = {}

        def answer(method: str) -> Any:
            async def give(**_arguments: Any) -> Any:
                return self.answers[method]

            return give

        methods = {name: answer(name) for name in ("list_instances", "get_instance", "get_vnc_console")}
        await self.transport.serve("compute.liar", methods, binary="nova-compute", host="liar")

    async def test_a_host_speaks_for_itself(self) -> None:
        """Otherwise, the stolen credential of one host would open consoles of other hosts."""
        self.answers = {
            "get_instance": INSTANCE,
            "list_instances": {"instances": [INSTANCE]},
            "get_vnc_console": CONSOLE,
        }
        self.assertEqual((await self.api.find(A)).host, "liar")
        self.assertEqual([one.host for one in await self.api.list_instances()], ["liar"])
        info = (await self.api.get_vnc_console(A, "novnc")).connect_info
        self.assertEqual((info.compute_host, info.instance_uuid), ("liar", A))
        self.assertEqual((info.user_id, info.project_id), (None, None))

    async def test_another_instance_than_was_asked_for(self) -> None:
        self.answers["get_instance"] = {**INSTANCE, "uuid": B}
        await self.refused(ServiceUnavailable, self.api.find(A))

    async def test_invalid_instances(self) -> None:
        good = await self.host("one")
        good.add(domain(B, "true"))
        for name in ("uuid", "name", "state"):
            for wrong in ([], {"a": 1}, "x\n", -1, 1.5):
                bad = {**INSTANCE, name: wrong}
                self.answers = {"get_instance": bad, "list_instances": {"instances": [bad, INSTANCE]}}
                listed = await self.api.list_instances()
                self.assertEqual([one.name for one in listed], ["myserver20", "true"], (name, wrong))
                await self.refused(ServiceUnavailable, self.api.find(A))

    async def test_an_optional_field_never_loses_a_server(self) -> None:
        for name in ("project_id", "project_name", "user_id", "user_name", "created", "vcpus", "memory_mb"):
            for wrong in ([], {"a": 1}, "x\n", -1, 1.5, True, "x" * 2000):
                bad = {**INSTANCE, name: wrong}
                self.answers = {"get_instance": bad, "list_instances": {"instances": [bad]}}
                usable = {**INSTANCE, name: 0 if name in ("vcpus", "memory_mb") else None}
                for found in (await self.api.find(A), (await self.api.list_instances())[0]):
                    self.assertEqual({key: getattr(found, key) for key in INSTANCE}, {**usable, "host": "liar"}, name)

    async def test_the_warning_names_the_server(self) -> None:
        self.answers["list_instances"] = {"instances": [{**INSTANCE, "name": "bad\x1b[2Jname"}]}
        log = Logged(self)
        await self.api.list_instances()
        (line,) = log.lines("can't be listed")
        self.assertIn(f"bad?[2Jname {A}: Instance.name: not a text", line)

    async def test_invalid_lists(self) -> None:
        (await self.host("one")).add(domain(B, "true"))
        for wrong in (None, [], "x", {}, {"instances": None}, {"instances": {"a": 1}}, {"instances": [None, 5, []]}):
            self.answers["list_instances"] = wrong
            self.assertEqual([one.name for one in await self.api.list_instances()], ["true"])

    async def test_a_page_with_too_many_entries(self) -> None:
        """None is read, because to read 500,000 of them would take seconds."""
        (await self.host("one")).add(domain(B, "true"))
        log = Logged(self)
        self.answers["list_instances"] = {"instances": [0] * (MAX_LISTED + 1)}
        self.assertEqual([one.name for one in await self.api.list_instances()], ["true"])
        self.assertEqual(log.lines("can't be listed"), [])

    async def test_a_list_without_an_end(self) -> None:
        (await self.host("one")).add(domain(B, "true"))
        self.answers["list_instances"] = None
        asked: list[str] = []

        async def give(after: str = "") -> Any:
            asked.append(after)
            return {"instances": [{**INSTANCE, "uuid": f"{len(asked):08x}{A[8:]}"}], "more": len(asked) < 10_000}

        await self.transport.serve("compute.endless", {"list_instances": give}, binary="nova-compute", host="endless")
        self.assertEqual([one.name for one in await self.api.list_instances()], ["true"])
        self.assertLess(len(asked), 200)

    async def test_the_last_entry_of_a_page_is_invalid(self) -> None:
        """The next page is read nevertheless."""
        later = {**INSTANCE, "uuid": B, "name": "later"}
        self.answers["list_instances"] = {"instances": []}

        async def give(after: str = "") -> Any:
            return (
                {"instances": [later], "more": False} if after == A else {"instances": [INSTANCE, *last], "more": True}
            )

        await self.transport.serve("compute.two", {"list_instances": give}, binary="nova-compute", host="two")
        for bad in (None, [], {}, {"uuid": "x"}, {**INSTANCE, "uuid": None}):
            last = [bad]
            listed = await self.api.list_instances()
            self.assertEqual(sorted(one.name for one in listed), ["later", INSTANCE["name"]], bad)
        self.assertRaises(ServiceUnavailable, replies.page, "two", {"instances": [None], "more": True})

    async def test_invalid_consoles(self) -> None:
        self.answers["get_instance"] = INSTANCE
        for name in ("token", "access_url", "connect_info"):
            for wrong in (None, [], "x\n", "", -1, 70_000, True):
                self.answers["get_vnc_console"] = {**CONSOLE, name: wrong}
                await self.refused(ServiceUnavailable, self.api.get_vnc_console(A, "novnc"))
        for wrong in ("javascript:alert(1)//http://", "data:text/html,x", "//evil", "/console", "file:///etc/passwd"):
            self.answers["get_vnc_console"] = {**CONSOLE, "access_url": wrong}
            refusal = await self.refused(ServiceUnavailable, self.api.get_vnc_console(A, "novnc"))
            self.assertIn("compute host liar: Console.access_url: not an address", refusal.detail)
        for name in ("host", "port", "name", "console_type"):
            for wrong in (None, [], "x\n", -1, 70_000, True):
                self.answers["get_vnc_console"] = {**CONSOLE, "connect_info": {**CONSOLE["connect_info"], name: wrong}}
                refusal = await self.refused(ServiceUnavailable, self.api.get_vnc_console(A, "novnc"))
                self.assertIn(f"compute host liar: Console.connect_info: ConnectInfo.{name}: ", refusal.detail)
        for wrong in (None, [], "x", 5):
            self.answers["get_vnc_console"] = wrong
            await self.refused(ServiceUnavailable, self.api.get_vnc_console(A, "novnc"))
