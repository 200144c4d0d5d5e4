"""The alternatives to our proxy, each from its package, with the minimum of settings that a measurement needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmarks.load import LOOPBACK
from benchmarks.proxies import Proxy, installed, output_of, peer


class Direct(Proxy):
    """No proxy at all: the limits of the generator itself."""

    name = "direct"
    about = "what the load generator itself can do"

    def start(self) -> None:
        """Nothing to start."""
        self.urls = {"novnc": f"tcp://{LOOPBACK}:{self.backend}"}

    def version(self) -> str:
        """No version."""
        return "(no proxy)"


class HAProxy(Proxy):
    """HAProxy in tcp mode: no HTTP, frames, tokens or RFB."""

    name = "haproxy"
    about = "raw TCP: no HTTP, no WebSocket frames, no tokens"
    scheme = "tcp"

    def command(self) -> list[str]:
        """One thread, since our proxy has one."""
        return [installed("haproxy", "haproxy"), "-db", "-f", "haproxy.cfg"]

    def files(self) -> Mapping[str, str]:
        """A listener and a server."""
        return {"haproxy.cfg": haproxy_cfg(f"{LOOPBACK}:{self.port}", f"{LOOPBACK}:{self.backend}")}

    def version(self) -> str:
        """The third word of ``haproxy -v``."""
        return output_of(self.command()[0], "-v").split("\n")[0].split(" ")[2]


def haproxy_cfg(bind: str, server: str) -> str:
    """The configuration of an HAProxy that relays TCP; both sides may have options, such as ``ssl crt FILE``."""
    return f"""global
  maxconn 6000
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen bench
  bind {bind}
  server vnc {server}
"""


class Lighttpd(Proxy):
    """lighttpd's mod_wstunnel: WebSocket, in C."""

    name = "lighttpd"
    about = "mod_wstunnel: the WebSocket job in C; no tokens"

    def command(self) -> list[str]:
        """The command that runs it in the foreground."""
        return [installed("lighttpd", "lighttpd"), "-D", "-f", "lighttpd.conf"]

    def files(self) -> Mapping[str, str]:
        """Limits that are high enough for all sessions."""
        return {
            "lighttpd.conf": f"""server.modules = ("mod_wstunnel")
server.document-root = "{self.folder}"
server.bind = "{LOOPBACK}"
server.port = {self.port}
server.max-fds = 20000
server.max-connections = 9000
server.errorlog = "{self.folder}/errors"
wstunnel.server = ( "" => ( ( "host" => "{LOOPBACK}", "port" => {self.backend} ) ) )
wstunnel.frame-type = "binary"
"""
        }

    def version(self) -> str:
        """The version in the first word of ``lighttpd -v``."""
        return output_of(self.command()[0], "-v").split("/")[1].split(" ")[0]


class Websockify(Proxy):
    """websockify: a process for each session, no RFB."""

    name = "websockify"
    about = "from PyPI; forks for each session; no tokens"
    forks = True

    def command(self) -> list[str]:
        """The command; websockify forks for each session."""
        return [peer("websockify"), f"{LOOPBACK}:{self.port}", f"{LOOPBACK}:{self.backend}"]

    def version(self) -> str:
        """The installed version."""
        return output_of(peer("python"), "-c", "from importlib.metadata import *; print(version('websockify'))").strip()


class Nova(Proxy):
    """nova-novncproxy with its RFB security proxy; the token check, which needs a cloud, is a stub."""

    name = "nova"
    about = "nova-novncproxy and its RFB security proxy, from PyPI; token look-up stubbed; forks for each session"
    forks = True
    faults: ClassVar[Mapping[str, str]] = {
        "silent": "a known fault of nova: about one of a thousand processes that it forks with eventlet never answers. "
        "It waits, probably for the lock of the log, in an epoll descriptor that it shares with the other processes"
    }

    def command(self) -> list[str]:
        """``nova_proxy.py``, which runs nova's own classes."""
        script = Path(__file__).with_name("nova_proxy.py")
        return [peer("python"), str(script), str(self.port), str(self.backend)]

    def version(self) -> str:
        """The installed version."""
        return output_of(peer("python"), "-c", "from importlib.metadata import *; print(version('nova'))").strip()
