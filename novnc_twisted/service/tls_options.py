"""The TLS options of our ports: those of the two proxies, and those of the API."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from novnc_twisted.access.pem import certificates, private_key
from novnc_twisted.frontend.tls import BadTLS, FrontTLS, read_pem
from novnc_twisted.service.exits import Unusable

T = TypeVar("T")

_CLIENT_CA = "[console] ssl_client_ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSOptions:
    """The TLS options of the proxies or of the API, and the mistakes that are visible without reading a file.

    :ivar group: the text before ``cert`` and ``key`` in errors: ``[api] ``, or nothing.
    :ivar mistakes: one line for each option that needs another option, which is not set.
    """

    group: str
    cert: str | None
    key: str | None
    ciphers: str | None
    minimum: str
    client_ca: str | None = None
    mistakes: tuple[str, ...] = ()

    @classmethod
    def of_proxies(cls, conf: Any) -> Self:
        """Return the options of the two proxies."""
        console = conf.console
        return cls(
            group="",
            cert=conf.cert,
            key=conf.key,
            ciphers=console.ssl_ciphers,
            minimum=console.ssl_minimum_version,
            client_ca=console.ssl_client_ca,
            mistakes=tuple(_mistakes_of_proxies(conf)),
        )

    @classmethod
    def of_api(cls, conf: Any) -> Self:
        """Return the options of the API."""
        needs = "[api] key: it needs [api] cert, the certificate, which is not set"
        return cls(
            group="[api] ",
            cert=conf.api.cert,
            key=conf.api.key,
            ciphers=conf.console.ssl_ciphers,
            minimum=conf.console.ssl_minimum_version,
            mistakes=(needs,) if conf.api.key and not conf.api.cert else (),
        )

    def load(self) -> FrontTLS | None:
        """Read the files; None if ``cert`` is not set.

        :raises Unusable: an option or a file cannot be used; the text is one line that names the option.
        """
        for line in self.mistakes:
            raise Unusable(line)  # the first mistake is enough
        if not self.cert:
            return None
        cert, key = self._name("cert"), self._name("key")
        names = {"cert": cert, "key": key, "ciphers": "[console] ssl_ciphers", "client_ca": _CLIENT_CA}
        names["minimum"] = "[console] ssl_minimum_version"
        rules: dict[str, Any] = {"ciphers": self.ciphers, "minimum": self.minimum, "client_ca": self.client_ca}
        return usable(partial(FrontTLS, self.cert, self.key or None, names=names, **rules))

    def files(self) -> list[Callable[[], object]]:
        """Return a function for each file.  It checks the file, and raises Unusable if the file cannot be used.

        No function checks whether the certificate and the key belong together.
        """
        files: list[Callable[[], object]] = []
        if self.cert:
            files.append(partial(read_option, self._name("cert"), self.cert, certificates))
            if self.key:
                files.append(partial(read_option, self._name("key"), self.key, private_key))
            if self.client_ca:
                files.append(partial(read_option, _CLIENT_CA, self.client_ca, certificates))
        return files

    def _name(self, option: str) -> str:
        return f"{self.group}{option}"


def _mistakes_of_proxies(conf: Any) -> list[str]:
    client_ca = conf.console.ssl_client_ca
    if conf.cert:
        needs_tls = f"{_CLIENT_CA}: it needs ssl_only = true; a client that connects without TLS sends no certificate"
        return [needs_tls] if client_ca and not conf.ssl_only else []
    options = (("key", conf.key), ("ssl_only", conf.ssl_only), (_CLIENT_CA, client_ca))
    lacks = "it needs cert, the proxies' certificate, which is not set"
    return [f"{option}: {lacks}" for option, value in options if value]


def read_option(option: str, path: str, parse: Callable[[bytes], T]) -> T:
    """Read and parse the file that an option names.

    :raises Unusable: the file cannot be used; the text is one line that names the option and the file.
    """
    return usable(partial(read_pem, option, path, parse))


def usable(read: Callable[[], T]) -> T:
    """Return the result of ``read``, and turn its BadTLS into Unusable.

    :raises Unusable: ``read`` has raised BadTLS.
    """
    try:
        return read()
    except BadTLS as error:
        raise Unusable(str(error)) from None
