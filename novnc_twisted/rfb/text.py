"""What a peer says, made fit for a log."""


def printable(data: bytes) -> str:
    """The text (UTF-8) without what could break a line, hide, or run backwards in a log; QEMU ends it with NUL."""
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text).strip()
