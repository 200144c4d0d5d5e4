"""Makes the texts of a peer safe for the log."""


def printable(data: bytes) -> str:
    """Return the text (UTF-8) with ``?`` for each character that could break a line, or hide or reverse text in a log.

    QEMU ends a text with NUL, which is removed.
    """
    # Removed first, because the replacement below would turn NUL into a question mark.
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text).strip()
