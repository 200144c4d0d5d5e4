"""Texts of a peer, made safe for a log."""


def printable(data: bytes) -> str:
    """Return the text (UTF-8) with ``?`` for each character that could break a line, hide, or reverse text in a log.

    QEMU ends a text with NUL, which is removed.
    """
    # Strip NUL before decoding: isprintable() would turn it into a question mark.
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text).strip()
