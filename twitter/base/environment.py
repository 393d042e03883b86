"""Variables of the environment, which make sense or are refused by name."""

import difflib
import os
import re
from collections.abc import Iterator
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

# The variables of the service. Here are those that are not read by this module, or not in every
# process; each that is asked for is added.
_names = {
    *("ALIVE_FILE", "WEB_HOST", "WEB_ACCESS_LOG", "STATE_DIR"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"),
    *("DEMO_PASSWORD", "DEMO_USERNAME", "ADMIN_PASSWORD", "ADMIN_USERNAME", "READER_PASSWORD"),
}
# No other program has variables that begin so.
_OURS = ("RATE_LIMIT_", "OUTBOX_", "FANOUT_")
# How like one of ours a name must be (difflib's ratio, 0 to 1) to be called misspelt: one letter
# of ten left out, added, or changed. REDIS_TLS_URL, which some hosts set, is 0.82 like REDIS_URL.
_LIKE = 0.85

_HOST = re.compile(r"\*|\.?[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Env(environ.Env):  # type: ignore[misc]  # it has no types
    """django-environ's, which notes the names that it is asked for."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        """Return a variable as django-environ does, and note its name."""
        _names.add(var)
        return super().get_value(var, *args, **options)


def misspelt() -> Iterator[tuple[str, str]]:
    """Yield each variable that looks like one of ours and is none, with what may be meant.

    Only a guess, so nothing is refused for it: the environment is also that of other programs, and
    after a rollback that of a newer version.
    """
    for name in sorted(os.environ.keys() - _names):
        likeness = 0.0 if name.startswith(_OURS) else _LIKE
        for meant in difflib.get_close_matches(name, _names, n=1, cutoff=likeness):
            yield name, meant


def _read(name: str) -> str:
    _names.add(name)
    return os.environ.get(name, "")


def required(name: str) -> str:
    """Return a variable that has no safe default.

    Raises ImproperlyConfigured, as all here do: without it, nothing starts.
    """
    value = _read(name)
    if not value:
        raise ImproperlyConfigured(f"Set {name} in the environment; see docs/configuration.md.")
    return value


def number(name: str, default: int, *, least: int = 1) -> int:
    """Return a variable as a whole number, `default` if it is not set or empty."""
    text = _read(name) or str(default)
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) < least:
        raise ImproperlyConfigured(f"{name}: a whole number, {least} or more, such as {default}.")
    return int(text)


def switch(name: str) -> bool:
    """Return a variable that is on or off, and off if it is not set or empty."""
    text = (_read(name) or "false").lower()
    if text not in (*_YES, *_NO):
        raise ImproperlyConfigured(f"{name}: true or false.")
    return text in _YES


def choice(name: str, default: str, *others: str) -> str:
    """Return a variable that has one of a few values, in lower case, `default` if it is not set."""
    text = (_read(name) or default).lower()
    if text not in (default, *others):
        raise ImproperlyConfigured(f"{name}: {', '.join((default, *others[:-1]))} or {others[-1]}.")
    return text


def log_level() -> str:
    """Return LOG_LEVEL as Python's `logging` calls it, INFO if it is not set or empty."""
    return choice("LOG_LEVEL", "info", "debug", "warning", "error", "critical").upper()


def hosts(name: str, value: str) -> list[str]:
    """Return host names, which stand between commas; `.example.com` has all subdomains in it."""
    names = [host.strip() for host in value.split(",") if host.strip()]
    if not names or not all(_HOST.fullmatch(host) for host in names):
        raise ImproperlyConfigured(
            f"{name}: host names with commas between them, such as twitter.example.com, without "
            "scheme, port and path."
        )
    return names


def address(name: str, value: str, *, form: str, such_as: str) -> str:
    """Return the address of a server, `value`, which is the variable's or follows from another.

    `form` is a regular expression for all of it. If it does not match, the error shows `such_as`.
    It does not show the value, which may have a password in it.
    """
    if not re.fullmatch(form, value):
        raise ImproperlyConfigured(f"{name}: such as {such_as}.")
    return value
