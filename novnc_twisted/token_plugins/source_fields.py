"""Splits a token source into fields: ``host:port:...``.  A field with a colon must be in double quotes."""


def source_fields(source: str) -> list[str]:
    """Split a text at its colons, but not inside of a field in double quotes."""
    fields = []
    rest: str | None = source
    while rest is not None:
        # The field is in quotes only if a colon, or the end of the text, follows the second quote.
        end = rest.find('"', 1) if rest.startswith('"') else -1
        if end > 1 and rest[end + 1 : end + 2] in ("", ":"):
            fields.append(rest[1:end])
            rest = rest[end + 2 :] if end + 1 < len(rest) else None
        else:
            field, colon, after = rest.partition(":")
            fields.append(field)
            rest = after if colon else None
    return fields
