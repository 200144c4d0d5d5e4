"""Warnings about a configuration with which a command can start, but which probably does not work as intended."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from novnc_twisted.access.hosts import is_loopback
from novnc_twisted.access.pem import certificates
from novnc_twisted.messaging.redis_url import parse_redis_url
from novnc_twisted.messaging.url import is_oslo_url
from novnc_twisted.service.commands import PROXIES
from novnc_twisted.service.configuration import Configuration

_DEFAULT_PORTS = {"http": 80, "https": 443}


def warnings(read: Configuration, services: Sequence[str]) -> Iterator[str]:
    """Yield the warnings for a command with these services, each in one line that begins with an option."""
    conf = read.conf
    yield from _links(read, services)
    yield from _unused(read, services)
    for option, path, authorities in _certificates(conf, services):
        yield from validity(option, path, authorities=authorities)
    if "novncproxy" in services:
        yield from _page(conf)
    if "consoleauth" in services and conf.consoleauth.token_ttl == 0:
        yield "[consoleauth] token_ttl: with 0 no console link is ever valid"
    if "consolecompute" in services and _is_unspecified(conf.vnc.server_proxyclient_address):
        address = conf.vnc.server_proxyclient_address
        yield f"[vnc] server_proxyclient_address: proxies on other machines that dial {address} would reach themselves"


def _unused(read: Configuration, services: Sequence[str]) -> Iterator[str]:
    """Yield a warning for each option that is set, but has no effect because of another option."""
    conf = read.conf
    if "consoleapi" in services and conf.api.auth_strategy != "http_basic":
        for name in ("http_basic_auth_user_file", "admin_users"):
            if conf.api[name]:
                yield f"[api] {name}: it is not used, because auth_strategy is {conf.api.auth_strategy}, not http_basic"
    if set(PROXIES) & set(services) and "vencrypt" not in conf.vnc.auth_schemes:
        for name in ("vencrypt_ca_certs", "vencrypt_client_cert", "vencrypt_client_key", "vencrypt_server_name"):
            if conf.vnc[name]:
                yield f"[vnc] {name}: it is not used, because auth_schemes does not name vencrypt"


def _links(read: Configuration, services: Sequence[str]) -> Iterator[str]:
    """Yield a warning for each base URL with which console links probably do not work."""
    conf = read.conf
    alone = conf.transport_url.startswith("memory:")
    if "consolecompute" not in services and is_oslo_url(conf.transport_url):
        return  # nova-compute makes the links, from its own options
    if conf.consoleauth.backend == "token_plugin":
        return  # another program makes the tokens, and the links with them
    for proxy in PROXIES:
        option = f"{proxy}_base_url"
        url = urlsplit(conf.vnc[option])
        named = f"[vnc] {option}: {conf.vnc[option]}"
        gives_links = "consolecompute" in services and (proxy == "novncproxy" or read.is_set("vnc", option))
        if not alone and (gives_links or proxy in services) and is_loopback(url.hostname or ""):
            yield (
                f"{named} leads users to their own machine; set this option to the address of the {proxy}, here and "
                "on the compute hosts"
            )
        if proxy in services:
            yield from _front(conf, proxy, named, url)
    if "xvpvncproxy" in services and urlsplit(conf.vnc.xvpvncproxy_base_url).port is None:
        yield f"[vnc] xvpvncproxy_base_url: {conf.vnc.xvpvncproxy_base_url} has no port, which the Java viewer needs"


def _front(conf: Any, proxy: str, named: str, url: SplitResult) -> Iterator[str]:
    """Yield a warning if the scheme or the port of a base URL does not fit the proxy of this process."""
    listens = conf.vnc[f"{proxy}_port"]
    port = url.port or _DEFAULT_PORTS[url.scheme.lower()]
    if url.scheme.lower() == "http" and conf.ssl_only:
        yield f"{named} is http://, but ssl_only refuses plain connections; write https://"
    # A reverse proxy in front has its own port and scheme, which are not known here.
    if conf.console.trusted_proxies or (proxy == "novncproxy" and conf.vnc.novncproxy_socket):
        return
    if port != listens:
        yield (
            f"{named} leads to port {port}, but {proxy}_port is {listens}; if a reverse proxy is in front of "
            f"the {proxy}, name it in [console] trusted_proxies"
        )
    elif url.scheme.lower() == "https" and not conf.cert:
        yield f"{named} is https://, but cert is not set, so that port {listens} takes plain connections only"


def _certificates_of_redis(transport_url: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the same as :func:`_certificates` for the files that transport_url names."""
    with suppress(ValueError):  # not a URL of Redis; examine() reports an invalid URL as an error
        redis = parse_redis_url(transport_url)
        if redis.cert:
            yield "transport_url", redis.cert, False
        if redis.ca:
            yield "transport_url", redis.ca, True


def _certificates(conf: Any, services: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield the option and the path of each file of certificates in use, and whether these are CA certificates."""
    # With the backends nova and token_plugin, transport_url is not used; see make_transport().
    if conf.consoleauth.backend not in ("nova", "token_plugin"):
        yield from _certificates_of_redis(conf.transport_url)
    if "consoleapi" in services and conf.api.cert:
        yield "[api] cert", conf.api.cert, False
    if not set(PROXIES) & set(services):
        return
    if conf.cert:
        yield "cert", conf.cert, False
        if conf.console.ssl_client_ca:
            yield "[console] ssl_client_ca", conf.console.ssl_client_ca, True
    if "vencrypt" in conf.vnc.auth_schemes:
        if conf.vnc.vencrypt_client_cert:
            yield "[vnc] vencrypt_client_cert", conf.vnc.vencrypt_client_cert, False
        if conf.vnc.vencrypt_ca_certs:
            yield "[vnc] vencrypt_ca_certs", conf.vnc.vencrypt_ca_certs, True


def validity(option: str, path: str, *, authorities: bool = False, now: datetime | None = None) -> Iterator[str]:
    """Yield a warning if a certificate in this file is not valid now; nothing if the file cannot be read.

    :param authorities: whether the file has CA certificates, of which only one needs to be valid.
    """
    now = now or datetime.now(UTC)
    try:
        chain = certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        return
    invalid = [one for one in chain if not one.not_valid_before_utc <= now <= one.not_valid_after_utc]
    if not invalid or (authorities and len(invalid) < len(chain)):
        return
    bad = invalid[0]
    early = now < bad.not_valid_before_utc
    what = "is not valid before" if early else "expired on"
    when = bad.not_valid_before_utc if early else bad.not_valid_after_utc
    yield f"{option}: the certificate of {bad.subject.rfc4514_string()} {what} {when:%Y-%m-%d %H:%M} UTC ({path})"


def _page(conf: Any) -> Iterator[str]:
    """Yield a warning if there is no folder with a console page, or the folder lacks the page of the base URL."""
    from novnc_twisted.novncproxy.page import SHIPPED, Page

    folder = conf.web or SHIPPED
    option = f"web: the folder {folder}" if conf.web else f"web: it is not set, and the folder {folder}"
    page = Page(folder)
    if not page.exists:
        if not conf.web:  # if web is set, examine() reports an error
            yield f"{option} does not exist; build the page, or set web to a folder of noVNC"
        return
    name = urlsplit(conf.vnc.novncproxy_base_url).path.rpartition("/")[2]
    for path, why in (("/", "no page such as vnc.html or vnc_lite.html"), (f"/{name}", f"no {name}")):
        found = page.find(path)
        if found is None:
            of_links = ", which novncproxy_base_url names" if path != "/" else ""
            yield f"{option} has {why}{of_links}"
            return
        found.content.close()


def _is_unspecified(address: str) -> bool:
    try:
        return ip_address(address).is_unspecified
    except ValueError:
        return False
