"""Further types of options.  Unlike oslo.config's own types, they refuse a value that can never work."""

import math
from collections.abc import Callable
from typing import Any

from oslo_config import cfg, types
from oslo_config.cfg import DeprecatedOpt

LONGEST = 10**9
"""Maximum value of an option that is a time, in seconds (31 years).  Redis and Python fail with much longer times."""


class Checked(types.String):
    """A text that a function checks.  The function raises ValueError for a bad text."""

    def __init__(self, check: Callable[[str], object]) -> None:
        super().__init__()
        self._check = check

    def __call__(self, value: object) -> str:
        """Return the text.

        :raises ValueError: the check refuses the text.
        """
        text = str(super().__call__(value))
        self._check(text)
        return text


class Items(types.List):
    """A list of texts separated by commas.

    An error shows only the refused item.  An error of oslo.config's own list also shows all items that follow.
    """

    def __init__(self, item_type: types.String) -> None:
        super().__init__(item_type)

    def __call__(self, value: Any) -> list[Any]:
        """Return the items.  One comma after the last item is ignored.

        :raises ValueError: an item is empty, or the type of the items refuses an item.
        """
        if isinstance(value, str):
            text = value.strip().removesuffix(",")
            value = [item.strip() for item in text.split(",")] if text else []
        if not all(value):
            raise ValueError("an item is missing before a comma")
        return [self.item_type(item) for item in value]


class Number(types.Float):
    """A finite number."""

    def __call__(self, value: Any) -> Any:
        """Return the number; None if the value is an empty text.

        :raises ValueError: the value is not a finite number, or is out of bounds.
        """
        number = super().__call__(value)
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{value} is not a finite number")
        return number


class CheckedOpt(cfg.Opt):
    """An option whose text a function checks."""

    def __init__(self, name: str, check: Callable[[str], object], **more: Any) -> None:
        super().__init__(name, type=Checked(check), **more)


class CheckedListOpt(cfg.ListOpt):
    """A list option: a function checks each item, or each item is one of the choices."""

    def __init__(
        self, name: str, check: Callable[[str], object] | None = None, choices: list[str] | None = None, **more: Any
    ) -> None:
        item_type = types.String(choices=choices) if check is None else Checked(check)
        super().__init__(name, item_type=item_type, **more)
        self.type = Items(item_type)  # replaces the list type that ListOpt has just set


class NumberOpt(cfg.Opt):
    """An option that is a finite number, not below ``min`` and not above ``max``."""

    def __init__(self, name: str, *, min: float, max: float, **more: Any) -> None:
        super().__init__(name, type=Number(min=min, max=max), **more)


def formerly(*names: str) -> list[DeprecatedOpt]:
    """Return the former names of an option in oslo.config's form, for ``deprecated_opts``.

    :param names: the former names.  If the section was not [DEFAULT], the section and a dot stand before the name, such
        as ``vnc.vncserver_listen``.
    """
    found = []
    for name in names:
        group, dot, option = name.rpartition(".")
        found.append(DeprecatedOpt(option, group=group if dot else "DEFAULT"))
    return found
