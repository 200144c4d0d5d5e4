"""The parts that the records of events share."""

from novnc_twisted.access.display import clean, is_clean
from novnc_twisted.read_only import read_only


# Each event cleans its texts when it is made.  If this were left to the observers, an observer that forgot it would
# allow log injection (CWE-117).
def clean_texts(event: object, *fields: str) -> None:
    """Clean the given text fields of a new event; see :func:`novnc_twisted.access.display.clean`."""
    texts = [getattr(event, field) for field in fields]
    # One check of all texts together, which is faster than a check of each text.
    if is_clean("".join(texts)):
        return
    for field, text in zip(fields, texts, strict=True):
        setattr(event, field, clean(text))


@read_only(kw_only=True)
class ConsoleEvent:
    """The fields of all events about a console.  A field that is not known is empty.

    :ivar console_type: ``novnc`` or ``xvpvnc``.
    :ivar address: the client's address.  X-Forwarded-For is used only if one of ``trusted_proxies`` sent it.
    :ivar user_id: the user who asked for the token; in an event about a request to the API, the user who sent it.
    :ivar project_id: the project in which that user asked for the token, or sent the request.
    :ivar instance_uuid: the server's UUID.
    :ivar instance_name: the server's name.
    :ivar link_id: identifies the token in all events about it; see :func:`novnc_twisted.access.tokens.link_id`.
    """

    console_type: str = ""
    address: str = ""
    user_id: str = ""
    project_id: str = ""
    instance_uuid: str = ""
    instance_name: str = ""
    link_id: str = ""

    def __post_init__(self) -> None:
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name")
