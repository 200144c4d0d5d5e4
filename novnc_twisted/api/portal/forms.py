"""The fields of HTML forms."""

from urllib.parse import parse_qs

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request

MAX_FIELDS = 20


def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last value of each.

    :raises HTTPError: 415: the body is no form; 400: it cannot be read.
    """
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPError(415, "Unsupported Content-Type")
    try:
        found = parse_qs(
            request.body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise HTTPError(400, "Malformed request body") from None
    return {name: values[-1] for name, values in found.items()}


def local_path(wanted: str, prefix: str) -> str:
    """Return a path below ``/console/`` to which a log-in may lead; the list for any other address."""
    home = f"{prefix}/console/"
    # Two slashes, and a backslash, which browsers read as one, would lead to another site.
    safe = wanted.startswith(home) and wanted.isprintable() and wanted.isascii() and "\\" not in wanted
    return wanted if safe and not wanted.startswith("//") else home
