"""Records that travel between services: typed, read-only, and checked field by field when they are read.

A record is a dataclass whose annotations carry the checks of :mod:`.fields`::

    @record
    class Place(Record):
        host: Annotated[str, fields.short_text]
        port: Annotated[int, fields.port] = 0

To add a field, add such a line.  :meth:`Record.to_wire` and :meth:`Record.from_wire` need no change.

Most fields of most records have their default value.  Such a field is left out of messages, which makes them half as
long, and the reader puts the default in.  So a default must not change in a later version.  A message may also contain
the default value, even if the check would refuse it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, field
from dataclasses import fields as dataclass_fields
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    Self,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.read_only import read_only

LOCAL: Final = "stays in this process"
"""Takes the place of a field's check, if messages do not contain the field.  Such a field needs a default."""


class _Layout(NamedTuple):
    """The functions and names that are made once for each class of records.

    :ivar names: the names of the fields that are sent, in their order.
    :ivar local: the names of the fields that are not sent (:data:`LOCAL`).
    :ivar write: returns a record as a JSON object.
    :ivar read: sets the sent fields of a new record from a message, and the local fields from a second mapping.
    :ivar copy: sets the fields of a new record to those of another one.
    """

    names: tuple[str, ...]
    local: frozenset[str]
    write: Callable[["Record"], dict[str, Any]]
    read: Callable[["Record", Mapping[str, Any], Mapping[str, Any]], None]
    copy: Callable[["Record", "Record"], None]


class Record:
    """Base class of the records.  A record from a message is checked; one that is made in Python is not."""

    __slots__: tuple[str, ...] = ()

    _layout: ClassVar[_Layout]

    if TYPE_CHECKING:  # for mypy: the argument of dataclasses.replace() has to be a dataclass
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def to_wire(self) -> dict[str, Any]:
        """Return the record as a JSON object, without the fields that have their default value."""
        return self._layout.write(self)

    @classmethod
    def wire_names(cls) -> tuple[str, ...]:
        """Return the names of the fields that are sent, in their order."""
        return cls._layout.names

    @classmethod
    def from_wire(cls, message: Any, **local: Any) -> Self:
        """Read a record from a decoded JSON object; unknown fields are ignored.

        :param local: the values of local fields.
        :raises ValueError: the message is not an object, or a field is missing or invalid.  The text is one clause that
            names the class, and the field if one is missing or invalid.
        """
        if not isinstance(message, dict):
            raise ValueError(f"{cls.__name__}: not an object")
        layout = cls._layout
        if not layout.local.issuperset(local):
            raise TypeError(f"{cls.__name__} has no local field {min(local.keys() - layout.local)}")
        made = object.__new__(cls)
        layout.read(made, message, local)
        return made

    def copy(self, **changes: Any) -> Self:
        """Return a copy in which the given fields have the given values.

        This is faster than :func:`dataclasses.replace`, but mypy does not check the arguments.
        """
        kind = type(self)
        made = object.__new__(kind)
        kind._layout.copy(made, self)
        for name, value in changes.items():
            if name not in kind.__slots__:
                raise TypeError(f"{kind.__name__} has no field {name}")
            setattr(made, name, value)
        return made


_R = TypeVar("_R", bound=Record)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(kind: type[_R]) -> type[_R]:
    """Make a class a record: a dataclass whose fields must not be changed (:func:`.read_only`).

    :raises TypeError: a field has neither a check nor :data:`LOCAL`, is local and has no default, or has a
        default_factory.
    """
    made = read_only(kw_only=True)(kind)
    made._layout = _layout_of(made)
    return made


def read(kind: type[_R], message: Any, sender: str, **local: Any) -> _R:
    """Read a record that another process has written.

    :param sender: what the error names as the origin of the record, such as ``compute host host1`` or ``the store``.
    :param local: the values of local fields.
    :raises ServiceUnavailable: the record is invalid; the detail names the sender and the field.
    """
    try:
        return kind.from_wire(message, **local)
    except ValueError as error:
        raise ServiceUnavailable(f"{sender}: {error}") from None


def read_or_none(kind: type[_R], message: Any) -> _R | None:
    """Read a record from the store; return None if it is missing or invalid."""
    try:
        return kind.from_wire(message)
    except ValueError:
        return None


def _layout_of(kind: type[Record]) -> _Layout:
    """Return the layout of a class of records, or raise the TypeError of :func:`record`."""
    hints = get_type_hints(kind, include_extras=True)
    checks: dict[str, Callable[[Any], Any]] = {}
    local = []
    for each in dataclass_fields(kind):
        hint = hints[each.name]
        check = get_args(hint)[1] if get_origin(hint) is Annotated else None
        if check is LOCAL and each.default is not MISSING:
            local.append(each.name)
        elif callable(check) and each.default_factory is MISSING:
            checks[each.name] = check
        else:
            raise TypeError(f"{kind.__name__}.{each.name} needs a check, or LOCAL and a default; no default_factory")
    defaults = {each.name: each.default for each in dataclass_fields(kind)}
    write, read, copy = _functions(kind, checks, local, defaults)
    return _Layout(tuple(checks), frozenset(local), write, read, copy)


def _functions(
    kind: type[Record], checks: Mapping[str, Callable[[Any], Any]], local: Sequence[str], defaults: Mapping[str, Any]
) -> tuple[Callable[..., Any], ...]:
    """Return the functions ``write``, ``read`` and ``copy`` of a layout.

    This function generates their Python code, with some lines for each field, as :mod:`dataclasses` generates
    ``__init__``.  A loop over the fields would take two to five times as long, and several records are written and read
    for each session.
    """
    write = ["def write(record):", " values = {}"]
    read = ["def read(record, message, local):"]
    copy = ["def copy(record, other):"]
    optional = {name for name, default in defaults.items() if default is not MISSING}
    for name, check in checks.items():
        # If the field contains another record, its check is the class method from_wire() of that record.
        value = "value.to_wire()" if isinstance(getattr(check, "__self__", None), type) else "value"
        # The comparison by identity is faster, and finds nearly all defaults: None, booleans and constants.
        is_sent = f" if value is not default_{name} and value != default_{name}:" if name in optional else ""
        write += [f" value = record.{name}", f"{is_sent} values[{name!r}] = {value}"]
        read += [
            f" if {name!r} in message:",
            f"  try: record.{name} = check_{name}(message[{name!r}])",
            f"  except ValueError as error: record.{name} = default_or_error({name!r}, message, error)",
            f" else: record.{name} = default_{name}" if name in optional else f" else: missing({name!r})",
        ]
    read += [f" record.{name} = local.get({name!r}, default_{name})" for name in local]
    copy += [f" record.{name} = other.{name}" for name in defaults]
    write.append(" return values")

    def default_or_error(name: str, message: Mapping[str, Any], error: ValueError) -> Any:
        value, default = message[name], defaults[name]
        # A default may fail its own check (an empty name, for example); it is valid nevertheless.  The types are
        # compared as well, because False == 0.
        if value != default or type(value) is not type(default):
            raise ValueError(f"{kind.__name__}.{name}: {error}") from None
        return default

    def missing(name: str) -> None:
        raise ValueError(f"{kind.__name__}.{name}: missing")

    names: dict[str, Any] = {"default_or_error": default_or_error, "missing": missing}
    names |= {f"default_{name}": default for name, default in defaults.items()}
    names |= {f"check_{name}": check for name, check in checks.items()}
    exec("\n".join(write + read + copy), names)  # noqa: S102 - only names of our own fields are in this text
    return names["write"], names["read"], names["copy"]
