"""The link for the user (nova's ``objects/console_auth_token.py``, ``access_url``)."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit


def access_url(base_url: str, token: str) -> str:
    """Return the base URL with the token.

    The link is ``BASE?token=T``, or ``BASE&token=T`` if the base URL has a query.  If this query has a parameter
    ``path``, even an empty one, the token goes into the value of ``path`` (``path=...%3Ftoken%3DT``), where noVNC 1.1
    and later read it.
    """
    parts = urlsplit(base_url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if any(name == "path" for name, _ in pairs):
        pairs = [
            (name, f"{value}{'&' if '?' in value else '?'}token={token}" if name == "path" else value)
            for name, value in pairs
        ]
        # quote, not quote_plus: noVNC decodes with decodeURIComponent, which does not change "+".
        query = urlencode(pairs, quote_via=quote, safe="")
    else:
        query = f"{parts.query}&token={token}" if parts.query else f"token={token}"
    return urlunsplit(parts._replace(query=query))
