"""The URL that a user is given (nova's ``objects/console_auth_token.py``, ``access_url``)."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit


def access_url(base_url: str, token: str) -> str:
    """Put the token into the base URL.

    ``BASE?token=T`` as in the seed; ``&token=T`` where the base URL has a query; where that query has a ``path``, even
    an empty one, the token goes inside it (``path=...%3Ftoken%3DT``), which is what noVNC 1.1 and later read.
    """
    parts = urlsplit(base_url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if any(name == "path" for name, _ in pairs):
        pairs = [
            (name, f"{value}{'&' if '?' in value else '?'}token={token}" if name == "path" else value)
            for name, value in pairs
        ]
        query = urlencode(pairs, quote_via=quote, safe="")
    else:
        query = f"{parts.query}&token={token}" if parts.query else f"token={token}"
    return urlunsplit(parts._replace(query=query))
