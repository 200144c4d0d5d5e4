"""Compares sessions with filters."""

from novnc_twisted.access.failures import network_of
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.session.session import Session


def matches(session: Session, wanted: SessionFilter) -> bool:
    """Return whether a session matches all fields of a filter.

    Before the token check has succeeded, only ``session_id``, ``token_hash`` and ``link_id`` can match, and
    ``made_until`` always matches.
    """
    info = session.info
    return (
        (wanted.session_id is None or session.id == wanted.session_id)
        and (wanted.server_id is None or (info is not None and info.instance_uuid == wanted.server_id))
        and (wanted.user_id is None or (info is not None and info.user_id == wanted.user_id))
        and (wanted.project_id is None or (info is not None and info.project_id == wanted.project_id))
        and (wanted.owner is None or (info is not None and wanted.owner in (info.owners or ())))
        and (wanted.client_network is None or (info is not None and _network(session) == wanted.client_network))
        and (wanted.made_until is None or _made_at(session) <= wanted.made_until)
        and (wanted.token_hash is None or session.token_hash == wanted.token_hash)
        and (wanted.link_id is None or session.link_id == wanted.link_id)
    )


def _made_at(session: Session) -> float:
    """Return when the token of a session was made, in Unix time; if this is unknown, 0."""
    # With 0, the session matches every made_until, as SessionFilter says.
    return 0.0 if session.info is None else session.info.made_at or 0.0


def _network(session: Session) -> str:
    return network_of(session.viewer.address)
