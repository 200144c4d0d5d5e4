"""Records that travel between services: typed, read-only, and checked field by field when they are read.

A record is a dataclass whose annotations carry the checks of :mod:`.fields`::

    @record
    class Place(Record):
        host: Annotated[str, fields.short_text]
        port: Annotated[int, fields.port] = 0

To add a field, only such a line is needed: :meth:`Record.to_wire` and :meth:`Record.from_wire` use it.  A field with a
default may be missing in a message.  A message may also contain the default value, even if the check would refuse it.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field
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

LOCAL: Final = "stays in this process"
"""Instead of a check, for a field that is neither written to messages nor read from them.  It needs a default."""


class _Layout(NamedTuple):
    """The fields of one kind of record, prepared for reading and writing messages.

    :ivar fields: for each sent field: its name, its check, its default (or MISSING), and its setter.
    :ivar local: for each local field: its name, its default, and its setter.
    :ivar names: the names of the sent fields.
    :ivar records: the names of the sent fields that are records themselves.
    """

    fields: tuple[tuple[str, Callable[[Any], Any], Any, Callable[[Any, Any], None]], ...]
    local: tuple[tuple[str, Any, Callable[[Any, Any], None]], ...]
    names: tuple[str, ...]
    records: tuple[str, ...]


class Record:
    """Base class of the records.  A record from a message is checked; one that is made in Python is not."""

    __slots__: tuple[str, ...] = ()

    if TYPE_CHECKING:  # for replace(), whose argument has to be a dataclass
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def to_wire(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        layout = _layout_of(type(self))
        values = {name: getattr(self, name) for name in layout.names}
        for name in layout.records:
            values[name] = values[name].to_wire()
        return values

    @classmethod
    def wire_names(cls) -> tuple[str, ...]:
        """Return the names of the fields that are sent, in their order."""
        return _layout_of(cls).names

    @classmethod
    def from_wire(cls, message: Any, **local: Any) -> Self:
        """Read a record from a decoded JSON object; unknown fields are ignored.

        :param local: the values of local fields.
        :raises ValueError: a field is missing or invalid; the text is one clause that names it.
        """
        if not isinstance(message, dict):
            raise ValueError(f"{cls.__name__}: not an object")
        layout = _layout_of(cls)
        made = object.__new__(cls)
        for name, check, default, put in layout.fields:
            value = message.get(name, default)
            # The default needs no check.  A comparison by identity is fast, and finds the default if the field is
            # missing, and nearly always if it is None, a boolean or a small constant.
            if value is not default:
                try:
                    value = check(value)
                except ValueError as error:
                    # A default may fail its own check (an empty name, for example); it is valid nevertheless.  The
                    # types are compared as well, because False == 0.
                    if value != default or type(value) is not type(default):
                        raise ValueError(f"{cls.__name__}.{name}: {error}") from None
            elif value is MISSING:
                raise ValueError(f"{cls.__name__}.{name}: missing")
            put(made, value)
        for name, default, put in layout.local:
            put(made, local.pop(name, default))
        if local:
            raise TypeError(f"{cls.__name__} has no local field {next(iter(local))}")
        return made

    def copy(self, **changes: Any) -> Self:
        """Return a copy with other values of these fields.

        Like :func:`dataclasses.replace`, but faster; mypy does not check the arguments.
        """
        values = {name: getattr(self, name) for name in self.__slots__}
        return type(self)(**values | changes)


_R = TypeVar("_R", bound=Record)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(kind: type[_R]) -> type[_R]:
    """Make a class a record: a dataclass whose fields must not be assigned after its construction.

    mypy refuses such an assignment, but Python permits it.  With ``frozen=True``, Python would refuse it, but a record
    would take four times as long to make, since each field would be set with ``object.__setattr__``.
    """
    # unsafe_hash: a hash of the values of the fields, as frozen dataclasses have it.
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(kind)


_KNOWN: dict[type[Record], _Layout] = {}


def read(kind: type[_R], message: Any, sender: str, **local: Any) -> _R:
    """Read a record that a service sent.

    :param sender: the name of the service for the error, such as ``compute host one``.
    :param local: the values of local fields.
    :raises ServiceUnavailable: the message is invalid; the detail names the sender and the field.
    """
    try:
        return kind.from_wire(message, **local)
    except ValueError as error:
        raise ServiceUnavailable(f"{sender}: {error}") from None


def _layout_of(kind: type[Record]) -> _Layout:
    """Return the layout of a kind of record.

    :raises TypeError: a field has neither a check nor :data:`LOCAL`, or is local and has no default.
    """
    known = _KNOWN.get(kind)
    if known is not None:
        return known
    hints = get_type_hints(kind, include_extras=True)
    found = []
    local = []
    for each in dataclass_fields(kind):
        hint = hints[each.name]
        check = get_args(hint)[1] if get_origin(hint) is Annotated else None
        # The setter of the slot, since setattr() fails for the records that are dataclasses with frozen=True.
        put = vars(kind)[each.name].__set__
        if check is LOCAL and each.default is not MISSING:
            local.append((each.name, each.default, put))
            continue
        if not callable(check) or each.default_factory is not MISSING:
            raise TypeError(f"{kind.__name__}.{each.name} needs Annotated[type, check], and no default_factory")
        found.append((each.name, check, each.default, put))
    # The check of such a field is the from_wire of a record: a method that is bound to a class.
    records = tuple(name for name, check, *_ in found if isinstance(getattr(check, "__self__", None), type))
    _KNOWN[kind] = _Layout(tuple(found), tuple(local), tuple(name for name, *_ in found), records)
    return _KNOWN[kind]
