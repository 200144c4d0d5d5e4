"""Ways to connect to Redis: log-in, ACL users, unix sockets, TLS; and the log lines of failures."""

import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer

PASSWORD = "hunter2 /@:#?%ü"
ESCAPED = "hunter2%20%2F%40%3A%23%3F%25%C3%BC"

# All commands of the transport, and no others: neither KEYS nor SCAN, PUBLISH nor SUBSCRIBE.
COMMANDS = (
    "-@all +auth +select +time +evalsha +eval +blpop +get +set +del "
    "+llen +rpush +lrange +pttl +pexpire +pexpireat +zadd +zcount +zrem +zrange +zrangebyscore +zremrangebyscore "
    "+sadd +smembers +srem"
)


class LogInCase(RedisTestCase):
    """Tests with a password that no log may contain."""

    def assert_no_password(self) -> None:
        for piece in ("hunter2", ESCAPED):
            self.assertEqual(self.logged.lines(piece), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def works(self, url: str) -> None:
        transport = await self.transport(url)
        await self.serve(transport)
        self.assertEqual(await transport.call("t", "note", value="0123"), "0123")
        await transport.store.put("key", {"a": "0123"}, 60, index="i")
        self.assertTrue(await transport.store.extend("key", 90))
        self.assertEqual(await transport.store.get("key"), {"a": "0123"})
        self.assertEqual(await transport.store.indexed("i"), ["key"])
        self.assertTrue(await transport.store.put_new("new", {}, 60))
        self.assertEqual([one.topic for one in await transport.services()], ["t"])
        self.assertEqual(await transport.store.remove("key", "new"), 2)
        await transport.stop()
        self.assert_no_password()


class LogInTests(LogInCase):
    async def test_password(self) -> None:
        redis = RedisServer(self, options=(f'requirepass "{PASSWORD}"',))
        await self.works(f"redis://:{ESCAPED}@127.0.0.1:{redis.port}")

    async def test_acl_user(self) -> None:
        redis = RedisServer(self)
        redis.command("ACL", "SETUSER", "nova", "on", f">{PASSWORD}", "~novnc:*", *COMMANDS.split())
        redis.command("ACL", "SETUSER", "open", "on", "nopass", "~novnc:*", *COMMANDS.split())
        redis.command("ACL", "SETUSER", "default", "off")
        await self.works(f"redis://nova:{ESCAPED}@127.0.0.1:{redis.port}/3")
        await self.works(f"redis://open@127.0.0.1:{redis.port}")

    async def test_database(self) -> None:
        redis = RedisServer(self)
        transport = await self.transport(redis.url.replace("/0", "/7"))
        await transport.store.put("key", {"a": 1}, 60)
        self.assertEqual(redis.command("KEYS", "*"), [])

    async def test_unix_socket(self) -> None:
        redis = RedisServer(self, unix=True, options=(f'requirepass "{PASSWORD}"',))
        await self.works(f"redis+unix://:{ESCAPED}@{redis.socket}?db=2")
        redis.kill()
        transport = await self.transport(f"redis+unix://default:{ESCAPED}@{redis.socket}")
        await self.fails(transport.call("t", "note", deadline=0.3, value=1))
        redis.start()
        await self.serve(transport)
        await self.until_answered(transport, 2)
        self.assert_no_password()

    async def test_wrong_password(self) -> None:
        """It is logged once, without the password; the transport retries until the password is right."""
        redis = RedisServer(self, options=("requirepass other",))
        transport = await self.transport(f"redis://:{ESCAPED}@127.0.0.1:{redis.port}")
        await self.serve(transport)
        await self.fails(transport.call("t", "note", deadline=2, value=1))
        self.assertEqual(len(self.logged.lines("refuses user or password (WRONGPASS)")), 1)
        self.assertEqual(len(self.logged.lines("Redis at")), 1)
        redis.command("CONFIG", "SET", "requirepass", PASSWORD, login=("other",))
        await self.until_answered(transport, 2)
        self.assertEqual(len(self.logged.lines("is back")), 1)
        self.assert_no_password()

    async def test_no_password_where_one_is_needed(self) -> None:
        redis = RedisServer(self, options=("requirepass other",))
        transport = await self.transport(redis.url)
        await self.fails(transport.call("t", "note", deadline=0.5, value=1))
        self.assertEqual(len(self.logged.lines("NOAUTH")), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_user_who_may_not(self) -> None:
        """Errors are recognized by their first word, since their text may quote the command."""
        redis = RedisServer(self)
        redis.command("ACL", "SETUSER", "poor", "on", f">{PASSWORD}", "~novnc:s:*", "-@all", "+time", "+get")
        transport = await self.transport(f"redis://poor:{ESCAPED}@127.0.0.1:{redis.port}")
        self.assertIsNone(await transport.store.get("key"))
        self.assertEqual(await self.fails(transport.store.put("key", {}, 60)), "Redis answered NOPERM")
        self.assertEqual(await self.fails(transport.call("t", "note", value=1)), "Redis answered NOPERM")
        self.assertEqual(len(self.logged.lines("NOPERM")), 1)
        self.assert_no_password()

    async def test_replica_that_refuses_writes(self) -> None:
        """Its connection is closed, since the name may now resolve to the primary; a new primary is used."""
        redis = RedisServer(self)
        transport = await self.transport(redis.url)
        redis.command("CONFIG", "SET", "replica-read-only", "yes")
        redis.command("REPLICAOF", "127.0.0.1", "1")
        self.assertEqual(await self.fails(transport.store.put("key", {}, 60)), "Redis answered READONLY")
        await self.until(lambda: self.logged.lines("it is a replica"))
        redis.command("REPLICAOF", "NO", "ONE")
        await self.until(lambda: self.logged.lines("is back"))
        await transport.store.put("key", {}, 60)
        self.assertEqual(len(self.logged.lines("it is a replica")), 1)


class TLSTests(LogInCase):
    """``rediss://``."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.ca = Authority(self.folder, "ca")
        server = self.ca.certificate("server", "redis.example", "127.0.0.1")
        self.redis = RedisServer(self, tls=(*server, self.ca.file), options=("requirepass hunter2",))
        self.url = f"rediss://:hunter2@127.0.0.1:{self.redis.port}"

    async def test_right_authority(self) -> None:
        await self.works(f"{self.url}?ca={self.ca.file}")
        await self.works(f"{self.url}?ca={self.ca.file}&server_name=redis.example")

    async def test_authorities_in_one_file(self) -> None:
        other = Authority(self.folder, "other")
        both = self.folder / "both.pem"
        both.write_bytes(b"# comment\n" + other.file.read_bytes() + b"\n" + self.ca.file.read_bytes())
        await self.works(f"{self.url}?ca={both}")

    async def refused(self, url: str, why: str) -> None:
        transport = await self.transport(url)
        await self.fails(transport.call("t", "note", deadline=2, value=1))
        self.assertEqual(len(self.logged.lines("Redis at")), 1, self.logged.lines("Redis at"))
        self.assertEqual(len(self.logged.lines(why)), 1, self.logged.lines("Redis at"))
        self.assert_no_password()

    async def test_wrong_authority(self) -> None:
        await self.refused(f"{self.url}?ca={Authority(self.folder, 'other').file}", "certificate verify failed")

    async def test_authorities_of_the_system(self) -> None:
        await self.refused(self.url, "certificate verify failed")

    async def test_wrong_name(self) -> None:
        await self.refused(
            f"{self.url}?ca={self.ca.file}&server_name=other.example",
            "name mismatch: the server's certificate is not for",
        )

    async def test_name_is_the_host_unless_set(self) -> None:
        certificate, key = self.ca.certificate("named", "redis.example")
        redis = RedisServer(self, tls=(certificate, key, self.ca.file), options=("requirepass hunter2",))
        url = f"rediss://:hunter2@127.0.0.1:{redis.port}?ca={self.ca.file}"
        await self.works(f"{url}&server_name=redis.example")
        await self.refused(url, "name mismatch: the server's certificate is not for")

    async def test_a_certificate_that_names_nobody(self) -> None:
        """A certificate of the right CA without a subjectAltName, which may belong to another machine."""
        redis = RedisServer(self, tls=(*self.ca.certificate("nobody"), self.ca.file), options=("requirepass hunter2",))
        url = f"rediss://:hunter2@127.0.0.1:{redis.port}?ca={self.ca.file}"
        await self.refused(url, "name mismatch: the server's certificate has no usable name")
        self.logged.clear()
        await self.refused(
            f"{url}&server_name=redis.example", "name mismatch: the server's certificate has no usable name"
        )

    async def test_certificate_of_our_own(self) -> None:
        self.redis.command("CONFIG", "SET", "tls-auth-clients", "yes", login=("hunter2",))
        certificate, key = self.ca.certificate("client", "nova")
        both = self.folder / "client.pem"
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        await self.works(f"{self.url}?ca={self.ca.file}&cert={certificate}&key={key}")
        await self.works(f"{self.url}?ca={self.ca.file}&cert={both}")
        transport = await self.transport(f"{self.url}?ca={self.ca.file}")
        await self.fails(transport.call("t", "note", deadline=1, value=1))
        self.assertEqual(len(self.logged.lines("Redis at")), 1)
        self.assert_no_password()

    async def test_key_of_another_certificate(self) -> None:
        certificate, _ = self.ca.certificate("client", "nova")
        _, key = self.ca.certificate("second", "nova")
        with self.assertRaises(ValueError) as caught:
            await self.transport(f"{self.url}?cert={certificate}&key={key}")
        self.assertIn(f"key={key}", str(caught.exception))

    async def test_plain_to_tls_and_tls_to_plain(self) -> None:
        plain = RedisServer(self)
        await self.refused(f"rediss://:hunter2@127.0.0.1:{plain.port}?ca={self.ca.file}", "rediss://")
        self.logged.clear()
        await self.refused(self.url.replace("rediss", "redis"), "set transport_url to rediss://")
        self.assert_no_password()

    async def test_recovers(self) -> None:
        caller = await self.transport(f"{self.url}?ca={self.ca.file}")
        await self.serve(caller)
        await self.until_answered(caller, 1)
        self.redis.kill()
        await self.fails(caller.call("t", "note", deadline=0.5, value=2))
        self.redis.start()
        await self.until_answered(caller, 3)
        self.assert_quiet(lost=1, back=1)


class SentinelTests(LogInCase):
    """``redis+sentinel://``."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def start(self, tls: tuple[Path, Path, Path] | None = None) -> None:
        """A primary, a replica and a Sentinel with a common password."""
        more = ("tls-replication yes",) if tls else ()
        options = ("requirepass hunter2", "masterauth hunter2", "repl-diskless-sync-delay 0", *more)
        self.primary = RedisServer(self, tls=tls, options=options)
        self.replica = RedisServer(self, tls=tls, options=(*options, f"replicaof 127.0.0.1 {self.primary.port}"))
        self.sentinel = RedisServer(
            self,
            sentinel=True,
            tls=tls,
            options=(
                *more,
                f"sentinel monitor nova 127.0.0.1 {self.primary.port} 1",
                "sentinel auth-pass nova hunter2",
                "sentinel down-after-milliseconds nova 1000",
            ),
        )

    async def fails_over(self, url: str) -> None:
        transport = await self.transport(url)
        await self.serve(transport)
        await self.until_answered(transport, 1)
        await transport.store.put("key", {"a": 1}, 60)
        waits = ("WAIT", "1", "100")  # 100 ms; the reactor is blocked meanwhile
        await self.until(lambda: self.primary.command(*waits, login=("hunter2",)) == 1)
        # The Sentinel learns of the replica from the primary.
        await self.until(lambda: b"num-slaves" in str(self.sentinel.command("SENTINEL", "MASTERS")).encode())
        await self.until(lambda: len(self.sentinel.command("SENTINEL", "REPLICAS", "nova")) == 1)  # type: ignore[arg-type]
        self.primary.kill()
        await self.until_answered(transport, 2)
        self.assertEqual(await transport.store.get("key"), {"a": 1})
        self.assertEqual(self.replica.command("ROLE", login=("hunter2",))[0], b"master")  # type: ignore[index]
        self.assert_quiet(lost=1, back=1)
        self.assert_no_password()

    async def test_primary_is_killed(self) -> None:
        self.start()
        dead = RedisServer(self, start=False).port
        await self.fails_over(f"redis+sentinel://:hunter2@127.0.0.1:{dead},127.0.0.1:{self.sentinel.port}/nova")

    async def test_tls(self) -> None:
        """Connections to the Sentinel and to the server that it names use TLS, and are verified."""
        ca, other = Authority(self.folder, "ca"), Authority(self.folder, "other")
        self.start((*ca.certificate("server", "127.0.0.1"), ca.file))
        url = f"redis+sentinel://:hunter2@127.0.0.1:{self.sentinel.port}/nova"
        wrong = await self.transport(f"{url}?ca={other.file}")
        await self.fails(wrong.call("t", "note", deadline=0.5, value=1))
        await wrong.stop()
        self.assertEqual(len(self.logged.lines("Redis at")), 1)
        self.logged.clear()
        await self.fails_over(f"{url}?ca={ca.file}")

    async def test_tls_with_a_certificate_that_names_nobody(self) -> None:
        """A Sentinel whose certificate is not valid is not asked."""
        ca = Authority(self.folder, "ca")
        self.start((*ca.certificate("nobody"), ca.file))
        dead = RedisServer(self, start=False).port
        hosts = f"127.0.0.1:{self.sentinel.port},127.0.0.1:{dead}"
        transport = await self.transport(f"redis+sentinel://:hunter2@{hosts}/nova?ca={ca.file}")
        await self.fails(transport.call("t", "note", deadline=2, value=1))
        self.assertEqual(len(self.logged.lines("Redis at")), 1, self.logged.lines())
        self.assertEqual(len(self.logged.lines("name mismatch: the server's certificate has no usable name")), 1)
        self.assert_no_password()

    async def test_no_such_service(self) -> None:
        self.start()
        transport = await self.transport(f"redis+sentinel://:hunter2@127.0.0.1:{self.sentinel.port}/other")
        await self.fails(transport.call("t", "note", deadline=0.5, value=1))
        self.assertEqual(len(self.logged.lines("a Sentinel does not know other")), 1)
        self.assert_no_password()


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        made = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def certificate(self, file: str, *names: str) -> tuple[Path, Path]:
        """Files of a certificate for names and addresses, and of its key.  Without names it has no subjectAltName."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "127.0.0.1")])
        made = self._builder(subject, key)
        if names:
            sans = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
            made = made.add_extension(x509.SubjectAlternativeName(sans), False)
        pem, key_pem = self._folder / f"{file}.crt", self._folder / f"{file}.key"
        pem.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        key_pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem, key_pem

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
