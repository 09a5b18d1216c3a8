"""Packages that import their names at first use, so that importing the package itself is quick (PEP 562)."""

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def attach(package: str, exports: Mapping[str, str]) -> None:
    """Makes ``package`` import each name of ``exports`` at first use, from the module that it maps to."""
    module = sys.modules[package]
    module.__class__ = _LazyPackage
    module.__dict__["_exports"] = exports


class _LazyPackage(ModuleType):
    _exports: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self._exports:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(self._exports[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # importing a submodule sets it on the package; where a function has the same name, keep the function
        if isinstance(value, ModuleType) and self._exports.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._exports})
