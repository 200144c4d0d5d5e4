"""The rules that apply to all tokens, and the terms that apply to one token."""

from dataclasses import dataclass

from novnc_twisted.consoleauth.store import TokenRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Values of options of ``[consoleauth]``.  Each attribute has the name of its option.

    :class:`~novnc_twisted.consoleauth.ConsoleAuthManager` documents them.
    """

    token_ttl: float = 600
    enforce_session_timeout: bool = False
    one_time: bool = False
    bind_address: bool = False
    max_tokens_per_server: int = 64
    max_tokens_per_user: int = 1024

    @property
    def reconnects(self) -> bool:
        """Whether these options let a viewer reconnect with a token that has expired while its session was live."""
        return not (self.one_time or self.enforce_session_timeout)

    def opens_once(self, record: TokenRecord) -> bool:
        """Whether a token can be used only once, because of the option or of the token's own terms."""
        return self.one_time or record.one_time


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTerms:
    """The terms that the caller of ``authorize_console`` sets for one token.

    :ivar client_address: the address of the client that asked for the token; None: unknown.
    :ivar owner: the id or the name of the project that the server must belong to; None: any project.
    :ivar expires_in: seconds for which the token is valid, at most ``token_ttl``; None: ``token_ttl``.
    :ivar one_time: whether the token can be used only once; False: the option ``one_time`` decides.
    """

    client_address: str | None = None
    owner: str | None = None
    expires_in: float | None = None
    one_time: bool = False
