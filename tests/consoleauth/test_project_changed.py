"""A live session's token is renewed after the server was given to another project."""

from twisted.internet.defer import fail

from novnc_twisted.errors import ConsoleForbidden, InvalidToken, ServiceUnavailable
from novnc_twisted.events import Event, TokenRefused
from novnc_twisted.messaging.domain_directory import MAX_AGE
from tests.consoleauth.harness import TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.support.published import publish, row


class ProjectChanged(ConsoleAuthCase):
    """The server belongs to the project ``red``, for which the token was made."""

    async def setUp(self) -> None:
        await super().setUp()
        self.vm = await self.host()
        self.vm.run(owner="red")
        self.record = await publish(self.transport.store, "one", [self.domain("red")])
        self.events: list[Event] = []
        await self.serve(observer=self.events.append)
        await self.token(owner="red")
        self.vm.asked.clear()

    def domain(self, project: str | None) -> dict[str, str | None]:
        return {"uuid": VM, "name": "myserver20", "project_id": project}

    async def published(self, project: str | None) -> None:
        """The host publishes the server with this project; consoleauth's copy is updated with the next renewal."""
        self.record.set(row(**self.domain(project)))
        await self.record.write()
        self.clock.advance(MAX_AGE)

    async def renew(self) -> None:
        await self.api.keep_token(TOKEN, VIEWER)

    async def test_no_call_while_nothing_has_changed(self) -> None:
        for _ in range(3):
            await self.renew()
            self.clock.advance(MAX_AGE)
        self.assertEqual(self.vm.asked, [])

    async def test_it_was_given_away(self) -> None:
        for project in "blue", None:
            self.events.clear()
            await self.published(project)
            self.vm.run(owner=project or "")
            await self.refused(ConsoleForbidden, self.renew())
            [event] = self.events
            assert isinstance(event, TokenRefused)
            self.assertEqual((event.cause, event.address, event.instance_uuid), ("ConsoleForbidden", VIEWER, VM))

    async def test_no_lease_for_a_server_that_was_given_away(self) -> None:
        await self.published("blue")
        self.vm.run(owner="blue")
        await self.refused(ConsoleForbidden, self.renew())
        self.clock.advance(600)
        self.vm.run(owner="red")
        await self.refused(InvalidToken, self.check())

    async def test_what_a_host_published_does_not_decide(self) -> None:
        await self.published("blue")
        await self.renew()
        self.assertEqual(self.vm.asked.count("validate_console_port"), 1)

    async def test_a_host_that_does_not_answer(self) -> None:
        """The session goes on."""
        await self.published("blue")
        self.vm.run(owner="blue")
        await self.gone["one"]()
        await self.renew()

    async def test_a_store_without_the_records(self) -> None:
        """Nothing is known of the server, so the session goes on."""
        self.patch(self.transport, "services", lambda _prefix: fail(ServiceUnavailable("down")))
        await self.renew()
