"""The log-in in real browsers: after a link from another site users are still logged in; its forms do nothing."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from novnc_twisted.identity import HTTPBasic, KeystoneUsers
from tests.api import test_keystone_pages
from tests.api.harness import FakeHost, System, instance, quick_hash, uuid_of
from tests.support import published
from tests.support.browser import with_page
from tests.support.identity import token_body
from tests.web.steps import FOCUSED, Steps, tab_to

PASSWORD = "r3d:pass"
SERVER = uuid_of("red-vm")


class Mail(Factory):
    """A server with one page.  Browsers also open connections in advance."""

    noisy = False

    def __init__(self, page: str) -> None:
        self.page = page.encode()
        self.open: dict[Protocol, Deferred[None]] = {}

    def buildProtocol(self, addr: object) -> Protocol:
        connection = _MailConnection(self)
        self.open[connection] = Deferred()
        return connection

    async def close(self) -> None:
        """End all connections."""
        for connection in self.open:
            connection.transport.abortConnection()  # type: ignore[union-attr]
        await gatherResults(list(self.open.values()))


class _MailConnection(Protocol):
    def __init__(self, mail: Mail) -> None:
        self.mail = mail

    def dataReceived(self, data: bytes) -> None:
        page = self.mail.page
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + page)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self.mail.open.pop(self).callback(None)


class LogInCase(TestCase):
    """Alice of project red, a list at 127.0.0.1, and a page at localhost, which is another site for browsers."""

    timeout = 300
    browser = "chromium"

    async def setUp(self) -> None:
        self.host = FakeHost("host1", instance("red-vm", project_id="red-id", project_name="red"))
        self.system = await System(self.auth(), self.host, reactor=reactor).start()
        await published.publish(self.system.transport.store, "host1", self.host.instances.values())
        self.addCleanup(self.system.transport.stop)
        self.addCleanup(self.system.site.empty)
        self.url = f"http://127.0.0.1:{self.listen(self.system.site)}/console/"
        server = f"{self.url}servers/{SERVER}"
        mail = Mail(
            f"""<!doctype html><link rel="icon" href="data:,"><a href="{server}">Mail</a>
            <form method="post" action="{server}/open"><button>Open</button></form>
            <form method="post" action="{server}/power"><button name="action" value="reboot-hard">Reset</button></form>
            <form method="post" action="{self.url}logout"><button>Leave</button></form>"""
        )
        self.mail = f"http://localhost:{self.listen(mail)}/"
        self.addCleanup(mail.close)

    def auth(self) -> Any:
        """Return what authenticates the users."""
        file = Path(self.mktemp())
        file.write_text(f"alice:{quick_hash(PASSWORD)}:red\n")
        return HTTPBasic(reactor, file)

    def listen(self, site: Any) -> int:
        port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def log_in(self, page: Any) -> None:
        """Fill in the form, and wait for the list."""
        page.get_by_label("User").fill("alice")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.locator("header .who").wait_for()

    def log_in_by_keyboard(self, page: Any, password: str = PASSWORD) -> None:
        """Wait until the first field has the focus, and log in."""
        page.wait_for_function(f"() => ({FOCUSED})() === 'User'")
        page.keyboard.type("alice")
        page.keyboard.press("Tab")
        page.keyboard.type(password)
        page.keyboard.press("Enter")


class OtherSiteTests(LogInCase):
    async def test_a_link_from_mail_arrives_logged_in(self) -> None:
        """The user is still logged in; a form arrives without the cookie and does nothing."""

        def steps(view: Any) -> None:
            page = view.page
            self.log_in(page)
            page.goto(self.mail)
            page.get_by_role("link", name="Mail").click()
            page.wait_for_url(f"**/servers/{SERVER}")
            self.assertEqual(page.locator("h1").inner_text(), "red-vm")
            for form in ("Open", "Reset", "Leave"):
                page.goto(self.mail)
                page.get_by_role("button", name=form).click()
                page.locator("[role=alert]").wait_for()
                self.assertFalse(page.locator("header .who").count())
            page.goto(self.url)
            page.get_by_text("red-vm").first.wait_for()
            page.get_by_role("button", name="Log out").click()
            page.get_by_label("Password").wait_for()

        await with_page(self.url, steps, browser=self.browser)
        self.assertEqual((self.host.power, self.system.consoleauth.tokens), ([], {}))


class OtherSiteInFirefox(OtherSiteTests):
    browser = "firefox"


class KeyboardTests(LogInCase, Steps):
    """Every page around the list by keyboard alone."""

    async def test_account(self) -> None:
        """The log-in, API tokens, the page of a server with its power actions, and both log-outs."""

        def steps(view: Any) -> None:
            page = view.page

            def press(words: str, key: str = "Enter") -> None:
                tab_to(page, words)
                page.keyboard.press(key)

            self.log_in_by_keyboard(page)
            page.locator("header .who").wait_for()
            press("Account")
            page.get_by_label("Name").wait_for()
            tab_to(page, "Name")
            page.keyboard.type("backup")
            press("Right", "C")
            press("Make a token")
            page.get_by_label("The new token").wait_for()
            self.assertEqual(page.locator("tbody td").first.inner_text(), "Control")
            press("Revoke · backup")
            page.get_by_text("You have no API tokens.").wait_for()
            press("Also revoke", "Space")
            self.assertTrue(page.get_by_label("Also revoke").is_checked())
            press("Log out everywhere")
            self.log_in_by_keyboard(page)
            page.locator(".tile").wait_for()
            tab_to(page, "Open the console of red-vm")
            page.keyboard.press("Tab")
            self.assertEqual(page.evaluate(FOCUSED), "red-vm")
            page.keyboard.press("Enter")
            page.wait_for_url(f"**/servers/{SERVER}")
            with page.expect_navigation(url=f"**/servers/{SERVER}"):
                press("Shut down")
            press("All servers")
            page.locator(".tile").wait_for()
            press("Log out")
            page.get_by_label("Password").wait_for()

        await with_page(self.url, steps, browser=self.browser)
        self.assertEqual(self.host.power, [(SERVER, "stop")])


class KeyboardInFirefox(KeyboardTests):
    browser = "firefox"


class Keystone(test_keystone_pages.FakeKeystone):
    """A Keystone whose tokens are valid for an hour from now."""

    def _token(self, project: str | None) -> Any:
        answer = super()._token(project)
        body: Any = answer.body
        body["token"]["expires_at"] = token_body()["token"]["expires_at"]
        return answer


class ProjectTests(LogInCase):
    def auth(self) -> Any:
        return KeystoneUsers(reactor, Keystone(), identity_url="https://k/v3")  # type: ignore[arg-type]

    async def test_projects_by_keyboard(self) -> None:
        """A user of two projects chooses one, and then the other."""

        def steps(view: Any) -> None:
            page = view.page
            self.log_in_by_keyboard(page, test_keystone_pages.PASSWORD)
            for project in ("blue", "red"):
                page.locator("h1:has-text('Choose a project')").wait_for()
                tab_to(page, project)
                page.keyboard.press("Enter")
                page.locator(f".who:has-text('project {project}')").wait_for()
                tab_to(page, "Other project" if project == "blue" else "Log out")
                page.keyboard.press("Enter")
            page.get_by_label("Password").wait_for()

        await with_page(self.url, steps, browser=self.browser)


class ProjectsInFirefox(ProjectTests):
    browser = "firefox"
