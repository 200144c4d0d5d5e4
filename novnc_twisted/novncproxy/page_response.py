"""The response to a request for a file of the console page.  The only I/O is on the files of the page."""

from dataclasses import dataclass

from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.http.response_head import ALONE, DRAWING, content_security_policy
from novnc_twisted.http.static_files import StaticFile, accepted_encodings
from novnc_twisted.novncproxy.page import NOT_BUILT, Page, redirect_of

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResponse:
    """A response to GET or HEAD.

    :ivar status: the HTTP status.
    :ivar fields: header fields, except those that every response has.
    :ivar file: the open file to send; None if the response sends no file.
    :ivar sentence: if not empty, the response consists of this sentence, and the connection is closed after it.
    """

    status: int
    fields: Fields = ()
    file: StaticFile | None = None
    sentence: str = ""


def page_response(head: RequestHead, page: Page, *, frame_ancestors: tuple[str, ...], secure: bool) -> PageResponse:
    """Find the requested file, and make the response.

    :param frame_ancestors: sites that may show the page in a frame, as sources of Content-Security-Policy.
    :param secure: whether the client uses https.
    """
    path, _, query = head.target.partition("?")
    file = page.find(path, accepted_encodings(head.lists("accept-encoding"))) if page.exists else None
    if file is None:
        if path == "/favicon.ico":
            return PageResponse(status=204)
        if not page.exists:
            return PageResponse(status=503, sentence=NOT_BUILT)
        return PageResponse(status=404, sentence="There is no such page.")
    location = redirect_of(file, query) if page.foreign else None
    if location is not None:
        # find() has opened the file, but a redirect does not send it.
        file.content.close()
        return PageResponse(status=302, fields=(("Location", location), ("Cache-Control", "no-store")))
    picture = file.content_type == "image/svg+xml"
    policy = DRAWING if picture else content_security_policy(head.one("host"), frame_ancestors, foreign=page.foreign)
    # A page of the same site, such as the list of servers at another port, may have opened this tab.  That page needs a
    # reference to the tab, to show the tab again.  ALONE (Cross-Origin-Opener-Policy) would take the reference away.
    # Older browsers do not send Sec-Fetch-Site, so over https they always get ALONE.
    # Over plain http, ALONE is never sent, because Chromium ignores it there.
    alone = file.html and secure and head.one("sec-fetch-site") != "same-site"
    fields = _fields(file, policy, alone=alone)
    # HTML is never cached: its URL contains a token, and an old page would name files that no longer exist.
    if not file.html and file.tag in head.lists("if-none-match"):
        file.content.close()
        return PageResponse(status=304, fields=fields)
    return PageResponse(status=200, fields=fields, file=file)


def _fields(file: StaticFile, policy: str, *, alone: bool) -> Fields:
    if file.html:
        cache = "no-store"
    elif file.unchanging:
        cache = "public, max-age=31536000, immutable"
    else:
        cache = "no-cache"
    tag = () if file.html else (("ETag", file.tag),)
    encoding = (("Content-Encoding", file.encoding),) if file.encoding else ()
    varies = (("Vary", "Accept-Encoding"),) if file.varies else ()
    opener = ALONE if alone else ()
    return (("Content-Security-Policy", policy), ("Cache-Control", cache), *opener, *tag, *encoding, *varies)
