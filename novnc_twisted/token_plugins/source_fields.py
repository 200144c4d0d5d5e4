"""The fields of a token source: ``host:port:...``, a field with a colon in double quotes."""


def source_fields(source: str) -> list[str]:
    """Split at colons, but not at those between double quotes around a whole field."""
    fields = []
    rest: str | None = source
    while rest is not None:
        end = rest.find('"', 1) if rest.startswith('"') else -1
        if end > 1 and rest[end + 1 : end + 2] in ("", ":"):
            fields.append(rest[1:end])
            rest = rest[end + 2 :] if end + 1 < len(rest) else None
        else:
            field, colon, after = rest.partition(":")
            fields.append(field)
            rest = after if colon else None
    return fields
