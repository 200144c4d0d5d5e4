"""The backend ``token_plugin``: a token plug-in checks the tokens.  The plug-ins are named like websockify's."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from novnc_twisted.service.exits import Unusable

if TYPE_CHECKING:
    from novnc_twisted.token_plugins import ITokenPlugin

_log: Final = Logger()

SERVED: Final = "novncproxy"
"""The command that can have this backend."""


def uses_plugin(command: str, conf: Any) -> bool:
    """Return whether a token plug-in checks the tokens (``[consoleauth] backend``).

    :raises Unusable: the command cannot have this backend.
    """
    if conf.consoleauth.backend != "token_plugin":
        return False
    if command != SERVED:
        raise Unusable(
            f"[consoleauth] backend: with token_plugin only twistd {SERVED} is needed, and {command} cannot be used"
        )
    return True


def check(command: str, reactor: Any, conf: Any) -> None:
    """Check ``token_plugin`` and ``token_source``, if a token plug-in checks the tokens.

    :raises Unusable: as for :func:`uses_plugin` and :func:`make`.
    """
    if uses_plugin(command, conf):
        make(reactor, conf)


def make(reactor: Any, conf: Any) -> "ITokenPlugin":
    """Make the plug-in, without contacting a server.

    :raises Unusable: ``token_plugin`` or ``token_source`` is missing, the source cannot be used, or the plug-in needs
        an extra of this package that is not installed.  The text is one line that names one of the two options.
    """
    from novnc_twisted.token_plugins import make_plugin

    options = conf.consoleauth
    for name in ("token_plugin", "token_source"):
        if not options[name]:
            raise Unusable(f"[consoleauth] {name}: it is missing, but backend = token_plugin needs it")
    try:
        return make_plugin(reactor, options.token_plugin, options.token_source, token_ttl=options.token_ttl)
    except OSError as error:
        raise Unusable(f"[consoleauth] token_source: can't examine {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"[consoleauth] token_source: {error}") from None


def renewal(plugin: "ITokenPlugin") -> Callable[[], None]:
    """Read the files of a plug-in again.

    :return: a function that puts the new content into use.
    :raises Unusable: a file cannot be used; the text is one line that names ``token_source``.
    """
    try:
        use: Callable[[], None] = plugin.renewal()
    except ValueError as error:
        raise Unusable(f"[consoleauth] token_source: {error}") from None

    def renew() -> None:
        use()
        _log.info("reload: token_source was read again")

    return renew
