"""Tokens at both proxies, with a real consoleauth and clients at several addresses."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted import errors
from novnc_twisted.access import Failures
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.messaging.memory import MemoryTransport
from tests.consoleauth.harness import VM, Host
from tests.session.harness import HANDSHAKE, FrontCase, Raw, WebSocket, introduce, refused
from tests.support.held_time import HeldTime

HERE, THERE = "127.0.0.1", "127.0.0.2"


class TokenCase(FrontCase):
    """Both proxies in one process, as in twistd console."""

    async def begin(self, *, limit: int = 600, trusted: tuple[str, ...] = (), on: Any = reactor, **policy: Any) -> None:
        """Start them; ``on`` is the reactor of the noVNC proxy."""
        self.transport = MemoryTransport(reactor)
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        host = Host("127.0.0.1")
        host.run(port=self.port)
        await self.transport.serve(
            "compute.one",
            {
                "validate_console_port": host.validate_console_port,
                "get_instances_at_address": host.get_instances_at_address,
            },
            binary="nova-compute",
            host="one",
            info={"server_proxyclient_address": host.address},
        )
        manager = ConsoleAuthManager(self.transport, reactor, **policy)
        await manager.start()
        self.addCleanup(manager.stop)
        self.api = ConsoleAuthAPI(self.transport)
        self.failures = Failures(limit, reactor.seconds)
        how = {"keep_token": self.api.keep_token, "failures": self.failures}
        self.xvp(self.api.check_token, **how)
        self.xvp_port, self.xvp_front = self.front_port, self.front
        self.novnc_on(on, self.api.check_token, trusted_proxies=trusted, **how)

    async def token(self, name: str, kind: str = "novnc", **more: Any) -> str:
        await self.api.authorize_console(
            name,
            ConnectInfo(
                console_type=kind,
                host="127.0.0.1",
                port=self.port,
                instance_uuid=VM,
                name="myserver20",
                user_id="u",
                project_id="p",
                compute_host="one",
            ),
            **more,
        )
        return name

    async def from_(self, address: str, port: int) -> Raw:
        """A client with this address."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, bindAddress=(address, 0))
        client: Any = await endpoint.connect(Factory.forProtocol(Raw))
        self.addCleanup(self._gone, client)
        return client  # type: ignore[no-any-return]

    async def _gone(self, client: Raw) -> None:
        if not client.lost:
            client.transport.abortConnection()
            await client.gone

    async def by_novnc(self, token: str, address: str = HERE, more: str = "") -> Any:
        """A WebSocket, or the status of the refusal."""
        client = await self.from_(address, self.front_port)
        client.write(HANDSHAKE.format(path=f"/?token={token}", more=more).encode())
        status = int((await client.until(b"\r\n\r\n"))[9:12])
        return WebSocket(client) if status == 101 else status

    async def novnc_says(self, token: str, address: str = HERE, more: str = "") -> int:
        """The refusal at the noVNC port: a close code, or a status; 0: admitted."""
        socket = await self.by_novnc(token, address, more)
        if isinstance(socket, int):
            return socket
        try:
            self.assertEqual((await introduce(socket))[2], "myserver20")
        except AssertionError:
            # Refused by RFB: introduce() found no security types.
            return (await socket.until_closed())[0]
        socket.raw.transport.abortConnection()
        await socket.raw.gone
        await self.all_over()
        return 0

    async def xvp_says(self, token: str, address: str = HERE) -> int:
        """The XVP port's status; 0: admitted."""
        client = await self.from_(address, self.xvp_port)
        client.write(f"CONNECT /console?token={token} HTTP/1.0\r\n\r\n".encode())
        status = int((await client.until(b"\r\n\r\n"))[9:12])
        if status == 200:
            await introduce(client)
        client.transport.abortConnection()
        await client.gone
        await self.xvp_front.registry.none_left()
        return 0 if status == 200 else status


class KindTests(TokenCase):
    async def test_each_kind_at_its_own_door(self) -> None:
        """A token that the other proxy refused is still valid at its own."""
        await self.begin()
        novnc, xvp = await self.token("n"), await self.token("x", "xvpvnc")
        self.assertEqual((await self.xvp_says(novnc), await self.novnc_says(xvp)), (403, 4403))
        self.assertEqual(self.server.connections, [])
        self.assertEqual((await self.novnc_says(novnc), await self.xvp_says(xvp)), (0, 0))

    async def test_one_time(self) -> None:
        await self.begin(one_time=True)
        novnc, xvp = await self.token("n"), await self.token("x", "xvpvnc")
        self.assertEqual((await self.xvp_says(novnc), await self.novnc_says(xvp)), (403, 4403), "not used up by this")
        self.assertEqual((await self.novnc_says(novnc), await self.xvp_says(xvp)), (0, 0))
        self.assertEqual((await self.novnc_says(novnc), await self.xvp_says(xvp)), (4401, 401))

    async def test_bind_address(self) -> None:
        """A token is bound to the address that used it first: the peer's, or the one from a trusted proxy."""
        await self.begin(bind_address=True, trusted=("127.0.0.9",))
        novnc, xvp = await self.token("n"), await self.token("x", "xvpvnc")
        self.assertEqual((await self.novnc_says(novnc), await self.xvp_says(xvp, THERE)), (0, 0))
        self.assertEqual((await self.novnc_says(novnc, THERE), await self.xvp_says(xvp)), (4403, 403))
        claim = f"X-Forwarded-For: {HERE}\r\n"
        self.assertEqual(await self.novnc_says(novnc, THERE, claim), 4403, "not from a trusted proxy")
        self.assertEqual(await self.novnc_says(novnc, "127.0.0.9", claim), 0)

    async def test_bound_to_who_asked_for_it(self) -> None:
        await self.begin(bind_address=True)
        token = await self.token("n", client_address=THERE)
        self.assertEqual((await self.novnc_says(token), await self.novnc_says(token, THERE)), (4403, 0))

    async def test_the_end_of_its_time_cuts_the_session(self) -> None:
        """enforce_session_timeout: the session ends with 4408, and the token is no longer valid."""
        front, now = HeldTime(), [1_000_000.0]
        await self.begin(on=front, now=lambda: now[0], enforce_session_timeout=True, token_ttl=3)
        token = await self.token("n")
        socket = await self.by_novnc(token)
        await introduce(socket)
        now[0] += 3
        for _ in range(3):
            front.spend(1)
        self.assertEqual((await socket.until_closed()), (4408, errors.SessionExpired.sentence))
        self.assertEqual(await self.novnc_says(token), 4401)


class GuessTests(TokenCase):
    """Refused tokens are counted by address, at both ports together; requests without a token are not counted."""

    async def test_a_good_token_among_guesses(self) -> None:
        """A client with a valid token is admitted, even from the address of a client that guesses."""
        await self.begin(limit=3)
        token, other = await self.token("n"), await self.token("x", "xvpvnc")
        refusals = [
            await self.novnc_says("a"),
            await self.xvp_says("b"),
            await self.novnc_says(""),
            await self.xvp_says(""),
        ]
        self.assertEqual(refusals, [4401, 401, 4401, 400])
        self.assertFalse(self.failures.too_many(HERE))
        self.assertEqual(await self.novnc_says(other), 4403)
        self.assertTrue(self.failures.too_many(HERE))
        self.assertEqual((await self.novnc_says(token), await self.xvp_says(other)), (0, 0))
        self.assertEqual((await self.novnc_says(token, THERE), await self.xvp_says(other, THERE)), (0, 0))

    async def test_successes(self) -> None:
        await self.begin(limit=1)
        token, other = await self.token("n"), await self.token("x", "xvpvnc")
        for _ in range(5):
            self.assertEqual((await self.novnc_says(token), await self.xvp_says(other)), (0, 0))

    async def test_one_at_a_time_beyond_the_limit(self) -> None:
        """While one token is being checked, the others get 429 without a check."""
        await self.begin(limit=1)
        await self.novnc_says("a")
        asked: list[Any] = []
        answer: Deferred[Any] = Deferred()

        def call(*arguments: Any, **_: Any) -> Deferred[Any]:
            asked.append(arguments)
            return answer

        self.patch(self.transport, "call", call)
        held = await self.by_novnc("b")
        self.assertEqual((await self.novnc_says("b"), await self.xvp_says("c")), (429, 429))
        self.assertEqual(len(asked), 1)
        answer.errback(errors.InvalidToken("unknown"))
        self.assertEqual(await refused(held), errors.InvalidToken.sentence)
        self.assertEqual((await held.until_closed())[0], 4401)
