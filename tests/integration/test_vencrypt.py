"""VeNCrypt to real VNC servers: QEMU as started by libvirt with vnc_tls, and TigerVNC's Xvnc with several types.

The viewers connect through a complete proxy, without VeNCrypt.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.session import UpstreamTLS
from tests.session.harness import TOKEN, FrontCase, introduce
from tests.support.forked import output_and_value
from tests.support.libvirtd import PrivateLibvirtd, in_thread, private_libvirtd, small_domain, vnc_with_password
from tests.support.pki import CA, CLIENT, Credential, qemu_folder
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers
from tests.support.vm import SmallVM
from tests.support.xvnc import Xvnc

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

OURS, OTHER = CA(), CA("another CA")
SERVER = OURS.issue("127.0.0.1", "localhost", "compute1")
CLIENT_OURS = OURS.issue(purpose=CLIENT)
PASSWORD = "pa55word"


class RealCase(FrontCase):
    """A proxy in front of a real VNC server."""

    timeout = 300

    def setUp(self) -> None:
        super().setUp()
        self.viewers = Viewers(self)
        self.password: str | None = PASSWORD
        self.folder = Path(tempfile.mkdtemp(prefix="nv", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)

    async def ask_password(self, *_: str) -> str | None:
        return self.password

    def front_with(self, *, xvp: bool = False, subtypes: tuple[str, ...] = (), **more: Any) -> str:
        """Start a proxy, and return the URL of a console."""
        schemes = more.pop("schemes", ("vencrypt",))
        subtypes = subtypes or ("X509None", "X509Vnc")
        more.setdefault("ca_certs", OURS.pem)
        settings = self.settings(
            auth_schemes=schemes,
            vencrypt_subtypes=subtypes,
            upstream_tls=UpstreamTLS(**more),
            host="compute1",
            socket_directories=(str(self.folder),),
        )
        self.events.clear()
        make = self.xvp if xvp else self.novnc
        make(settings=settings, ask_password=self.ask_password)
        page = "console" if xvp else "vnc_auto.html"
        return f"http://127.0.0.1:{self.front_port}/{page}?token={TOKEN}"

    async def detail(self, url: str) -> str:
        """Assert that the console is refused with the usual sentence; return the detail for the log."""
        said = (502 if "/console" in url else 4502, ConsoleUnreachable.sentence)
        self.assertEqual(await self.viewers.refusal(url), said)
        detail = str((await self.ended())["detail"])
        self.assertEqual([event for event in self.events if "log_failure" in event], [])
        self.assertNotIn(PASSWORD, self.log_text())
        return detail


class QEMUTests(RealCase):
    """QEMU with libvirt's arguments for vnc_tls and vnc_tls_x509_verify."""

    async def vm(
        self,
        server: Credential = SERVER,
        *,
        verify: bool = False,
        password: bool = False,
        creds: str = "",
        unix: str = "",
        sasl: bool = False,
    ) -> None:
        """Start a VM whose VNC server requires TLS."""
        folder = qemu_folder(self.folder / "pki", OURS.pem, server)
        creds = creds or (
            f"tls-creds-x509,id=t,dir={folder},endpoint=server,verify-peer={'on' if verify else 'off'},sanity-check=off"
        )
        more: tuple[str, ...] = ("-object", creds)
        vnc = f"unix:{unix},tls-creds=t" if unix else "tls-creds=t"
        if password:
            more += ("-object", f"secret,id=pw,data={PASSWORD}")
            vnc += ",password-secret=pw"
        vnc += ",sasl=on" if sasl else ""
        machine = SmallVM(self.folder, vnc=vnc, more=more)
        self.addCleanup(machine.stop)
        await deferToThread(machine.start)
        self.port = machine.port

    async def works(self, url: str) -> None:
        """Assert that the console works, including keys."""
        viewer = await self.viewers.open(url)
        self.assertEqual(viewer.name, "myserver20")
        await viewer.ready()
        await viewer.type("x")
        await viewer.leave()
        self.assertEqual((await self.ended())["cause"], "ClientLeft")

    async def test_both_fronts(self) -> None:
        """vnc_tls = 1, for both proxies."""
        await self.vm()
        for xvp in (False, True):
            await self.works(self.front_with(xvp=xvp))

    async def test_a_password(self) -> None:
        """vnc_tls = 1 and a password: X509Vnc; a wrong or missing password is refused."""
        await self.vm(password=True)
        await self.works(self.front_with())
        self.password = "wrong"
        self.assertEqual(await self.detail(self.front_with()), "authentication failed: Authentication failed")
        self.password = None
        self.assertIn("there is none for it", await self.detail(self.front_with()))

    async def test_our_certificate(self) -> None:
        """vnc_tls_x509_verify = 1: a valid client certificate, none, another CA's, an expired one."""
        await self.vm(verify=True)
        await self.works(self.front_with(client_cert=CLIENT_OURS.cert, client_key=CLIENT_OURS.key))
        self.assertIn(
            "right after the TLS handshake: it may want a client certificate (vencrypt_client_cert), and we have none",
            await self.detail(self.front_with()),
        )
        for theirs, hint in (
            (OTHER.issue(purpose=CLIENT), "may not accept our client certificate"),
            (OURS.issue(purpose=CLIENT, days=(-5, -1)), "our client certificate (vencrypt_client_cert) has expired"),
        ):
            url = self.front_with(xvp=True, client_cert=theirs.cert, client_key=theirs.key)
            self.assertIn(hint, await self.detail(url))

    async def test_whom_we_trust(self) -> None:
        """Unknown CAs and wrong names are refused; the configured name or the host's is accepted."""
        await self.vm()
        self.assertIn("CA is not trusted", await self.detail(self.front_with(ca_certs=OTHER.pem)))
        self.assertIn("CA is not trusted", await self.detail(self.front_with(ca_certs=None)))
        self.assertIn(
            "CA is not trusted", await self.detail(self.front_with(ca_certs=CA().pem))
        )  # the same name, another key
        self.assertIn("not for compute2", await self.detail(self.front_with(server_name="compute2")))
        await self.works(self.front_with(server_name="compute1"))
        self.info["host"] = "localhost"
        await self.works(self.front_with())

    async def test_another_host(self) -> None:
        await self.vm(OURS.issue("192.0.2.1", "compute2"))
        self.assertIn("name mismatch", await self.detail(self.front_with()))

    async def test_expired(self) -> None:
        await self.vm(OURS.issue("127.0.0.1", days=(-5, -1)))
        self.assertIn("has expired", await self.detail(self.front_with()))

    async def test_not_what_we_want(self) -> None:
        """QEMU offers one type and sub-type: if our options do not permit them, the console is refused."""
        await self.vm(password=True)
        self.assertIn("no common security type", await self.detail(self.front_with(schemes=("none", "vnc"))))
        self.assertIn(
            "no common VeNCrypt sub-type: the VNC server offers 261 (X509_VNC); we may use X509None, TLSVnc",
            await self.detail(self.front_with(subtypes=("X509None", "TLSVnc"))),
        )

    async def test_sasl(self) -> None:
        """A sub-type that we do not support; QEMU's number for it differs from that in rfbproto."""
        await self.vm(sasl=True)
        self.assertIn("the VNC server offers 263 (X509_SASL)", await self.detail(self.front_with()))

    async def test_anonymous(self) -> None:
        """TLSNone, only if the operator allows it."""
        await self.vm(creds=f"tls-creds-anon,id=t,dir={self.folder / 'pki'},endpoint=server")
        await self.works(self.front_with(subtypes=("X509None", "TLSNone")))
        self.assertIn("offers 257 (TLS_NONE)", await self.detail(self.front_with()))

    async def test_a_unix_socket(self) -> None:
        """A unix socket has no address: the certificate must contain the compute host's name."""
        path = self.folder / "vnc.sock"
        await self.vm(unix=str(path))
        self.info = {"socket": str(path), "host": "", "port": 0, "compute_host": "compute1"}
        await self.works(self.front_with())
        self.assertIn("not for compute3", await self.detail(self.front_with(server_name="compute3")))


class LibvirtTests(RealCase):
    """libvirt with vnc_tls in its qemu.conf, which a domain's XML does not show."""

    async def port_of(self, libvirtd: PrivateLibvirtd, name: str) -> int:
        found = re.search(r"<graphics type='vnc' port='(\d+)'", await in_thread(libvirtd.virsh, "dumpxml", name))
        assert found
        return int(found[1])

    async def test_twistd_console(self) -> None:
        """With the PKI and options of the documentation, nova get-vnc-console and a viewer work."""
        pki = self.folder / "pki"
        pki.mkdir()
        script = str(EXAMPLES / "vnc-pki.sh")
        printed = await getProcessOutputAndValue("/bin/sh", [script, "127.0.0.1", "compute1"], os.environ, str(pki))
        self.assertEqual(printed[2], 0, printed)
        self.assertEqual({path.stat().st_mode & 0o077 for path in pki.iterdir()}, {0})
        for path in (self.folder, pki, *pki.iterdir()):
            path.chmod(0o755)  # for QEMU's user
        libvirtd = await private_libvirtd(
            self, f'vnc_tls = 1\nvnc_tls_x509_cert_dir = "{pki}"\nvnc_tls_x509_verify = 1\n'
        )
        await in_thread(libvirtd.create, small_domain("myserver20", graphics=vnc_with_password(PASSWORD)))
        api, novnc, xvp = free_port(), free_port(), free_port()
        conf = (
            f"[DEFAULT]\ndebug = true\nosapi_compute_listen_port = {api}\n"
            f"[vnc]\nnovncproxy_host = 127.0.0.1\nnovncproxy_port = {novnc}\n"
            f"novncproxy_base_url = http://127.0.0.1:{novnc}/vnc_auto.html\n"
            f"xvpvncproxy_host = 127.0.0.1\nxvpvncproxy_port = {xvp}\n"
            f"xvpvncproxy_base_url = http://127.0.0.1:{xvp}/console\n"
            f"[libvirt]\nconnection_uri = {libvirtd.uri}\n"
        ) + (EXAMPLES / "vencrypt.conf").read_text().replace("/etc/pki/nova-novncproxy", str(pki))
        process = Twistd.start(self, "console", conf)
        await process.ready()
        await process.seen("connected to libvirt")
        env = {
            "HOME": self.mktemp(),
            "PYTHONWARNINGS": "ignore",
            "OS_AUTH_TYPE": "none",
            "OS_AUTH_URL": "http://unused",
        }
        env |= {"OS_USERNAME": "x", "OS_PROJECT_NAME": "x", "OS_ENDPOINT": f"http://127.0.0.1:{api}/v2.1"}
        for kind in ("novnc", "xvpvnc"):
            command = ["get-vnc-console", "myserver20", kind]
            nova = str(Path(sys.executable).with_name("nova"))
            output, errors, _ = await output_and_value([nova, *command], env)
            url = re.search(r"http://127\.0\.0\.1:\S+token=\S+", output.decode())
            assert url, (output, errors)
            viewer = await self.viewers.open(url[0])
            await viewer.update()
            self.assertEqual((viewer.name, viewer.updates > 0), ("myserver20", True))
            await viewer.leave()
        self.assertEqual(await process.stop(), 0)
        for secret in (PASSWORD, "PRIVATE KEY"):
            self.assertNotIn(secret, process.output)

    async def test_vnc_tls(self) -> None:
        """With vnc_tls_x509_verify, for a VM without a password and one with a password."""
        pki = qemu_folder(self.folder / "pki", OURS.pem, SERVER)
        self.folder.chmod(0o755)  # for QEMU's user
        libvirtd = await private_libvirtd(
            self, f'vnc_tls = 1\nvnc_tls_x509_cert_dir = "{pki}"\nvnc_tls_x509_verify = 1\n'
        )
        await in_thread(libvirtd.create, small_domain("open"))
        await in_thread(libvirtd.create, small_domain("locked", graphics=vnc_with_password(PASSWORD)))
        for name in ("open", "locked"):
            self.port = await self.port_of(libvirtd, name)
            url = self.front_with(client_cert=CLIENT_OURS.cert, client_key=CLIENT_OURS.key)
            viewer = await self.viewers.open(url)
            await viewer.update()
            self.assertGreater(viewer.updates, 0)
            await viewer.leave()
            self.assertEqual((await self.ended())["cause"], "ClientLeft")
            self.assertIn("it may want a client certificate", await self.detail(self.front_with()))


class XvncTests(RealCase):
    """Among several types, our order decides, not the server's."""

    async def test_mixed_lists(self) -> None:
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        cert.write_bytes(SERVER.cert)
        key.write_bytes(SERVER.key)
        names = {"TLSNone": 257, "TLSVnc": 258, "X509None": 260, "X509Vnc": 261}
        both = ("X509None", "X509Vnc")
        for offered, schemes, subtypes, chosen in (
            ("None,VncAuth,X509None", ("vencrypt", "vnc", "none"), both, "X509None"),
            ("None,VncAuth,Plain,TLSVnc,X509Vnc,X509None", ("vencrypt",), both, "X509None"),
            ("None,VncAuth,Plain,TLSVnc,X509Vnc,X509None", ("vencrypt",), ("X509Vnc", "X509None"), "X509Vnc"),
            ("Plain,X509Plain,X509None,TLSNone", ("vencrypt",), ("TLSNone", "X509None"), "TLSNone"),
            ("VncAuth,TLSVnc", ("vencrypt", "vnc"), ("X509Vnc", "TLSVnc"), "TLSVnc"),
            ("None,VncAuth,X509None", ("vnc", "vencrypt"), both, "VncAuth"),
            ("X509None,VncAuth,None", ("none", "vencrypt"), both, "None"),
            ("VncAuth,None", ("vencrypt", "none"), both, "None"),
        ):
            server = await Xvnc.start(self, offered, cert=cert, key=key, password=PASSWORD)
            self.port = server.port
            url = self.front_with(schemes=schemes, subtypes=subtypes)
            stream, raw = await self.viewers.waiting(url)
            self.assertEqual((await introduce(stream))[2], "myserver20")
            if chosen in names:
                await server.seen(f"security type VeNCrypt({19})")
                await server.seen(f"security type {chosen} ({names[chosen]})")
            else:
                await server.seen(f"security type {chosen}(")
            raw.transport.loseConnection()
            self.assertEqual((await self.ended())["cause"], "ClientLeft")

    async def test_nothing_in_common(self) -> None:
        server = await Xvnc.start(self, "None,VncAuth,TLSNone,TLSVnc", password=PASSWORD)
        self.port = server.port
        self.assertIn(
            "no common VeNCrypt sub-type: the VNC server offers 1 (NONE), 2 (VNC), 257 (TLS_NONE), 258 (TLS_VNC)",
            await self.detail(self.front_with()),
        )
        server = await Xvnc.start(self, "None,VncAuth", password=PASSWORD)
        self.port = server.port
        self.assertIn("no common security type", await self.detail(self.front_with()))
