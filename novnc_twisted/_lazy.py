"""Lets a package import a sub-module only when a name of this sub-module is used (PEP 562).

So importing one of our packages imports no large dependency and no reactor.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy(package: str, names: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package.

    An object may have the same name as its sub-module: the sub-module ``rfb.login`` defines ``login()``.  When the
    import system has imported this sub-module, it assigns the sub-module to ``rfb.login``.  A package that has such a
    sub-module ignores this assignment, so that ``rfb.login`` is always the function.

    :param package: the package's ``__name__``.
    :param names: public name -> the sub-module (relative, without the dot) that defines it.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{names[name]}"), name)

    def __dir__() -> list[str]:
        return sorted(names)

    if any(name == module for name, module in names.items()):
        sys.modules[package].__class__ = type("Package", (ModuleType,), {"__setattr__": _keep_names(names)})
    return __getattr__, __dir__


def _keep_names(names: dict[str, str]) -> Callable[[ModuleType, str, Any], None]:
    def __setattr__(package: ModuleType, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and names.get(name) == name):
            ModuleType.__setattr__(package, name, value)

    return __setattr__
