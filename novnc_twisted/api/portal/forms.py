"""The fields of HTML forms."""

from urllib.parse import parse_qs

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request

MAX_FIELDS = 20


def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a posted form.  If a field occurs several times, the last value is returned.

    :raises HTTPError: 415: the body is not a form; 400: the form is malformed.
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
    """Return the path to open after a log-in: ``wanted`` if it is a safe path below ``PREFIX/console/``.

    Otherwise, return the path of the list of servers.

    :param prefix: the path below which a reverse proxy publishes the API; may be empty.
    """
    home = f"{prefix}/console/"
    # A path that begins with two slashes leads to another site, and browsers treat backslashes as slashes.  Only a
    # wrong ``prefix`` lets a path below ``home`` begin like this.
    safe = wanted.startswith(home) and wanted.isprintable() and wanted.isascii() and "\\" not in wanted
    return wanted if safe and not wanted.startswith("//") else home


def need(request: Request, *methods: str) -> None:
    """Check the method of a request.

    :raises HTTPError: 405.
    """
    if request.method not in methods:
        raise HTTPError(405, "The method is not allowed.", (("Allow", ", ".join(methods)),))
