"""Variables of the environment, which make sense or are refused by name."""

import os
import re

from django.core.exceptions import ImproperlyConfigured

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def required(name: str) -> str:
    """Return a variable that has no safe default.

    Raises ImproperlyConfigured, as all here do: without it, nothing starts.
    """
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"Set {name} in the environment; README.md has the table.")
    return value


def number(name: str, default: int, *, least: int = 1) -> int:
    """Return a variable as a whole number, `default` if it is not set or empty."""
    text = os.environ.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) < least:
        raise ImproperlyConfigured(f"{name}: a whole number, {least} or more, such as {default}.")
    return int(text)


def switch(name: str) -> bool:
    """Return a variable that is on or off, and off if it is not set or empty."""
    text = (os.environ.get(name) or "false").lower()
    if text not in (*_YES, *_NO):
        raise ImproperlyConfigured(f"{name}: true or false.")
    return text in _YES


def address(name: str, value: str, *, form: str, such_as: str) -> str:
    """Return the address of a server, `value`, which is the variable's or follows from another.

    `form` is a regular expression for all of it; `such_as` is shown to whoever misses it. The
    value is not: it may have a password in it.
    """
    if not re.fullmatch(form, value):
        raise ImproperlyConfigured(f"{name}: such as {such_as}.")
    return value
