"""The addresses of the servers that the service needs, with the options that stand in them.

All raise ImproperlyConfigured, which names the variable and shows nothing of its value: that may
have a password in it.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import kombu
import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict
from redis import ConnectionPool

from twitter.base.environment import Env, address

# Nothing waits long for a lock. How long a statement of a request may take is for the web server's
# settings: imports, rebuilds and migrations may take longer. A network that is gone without a word
# is noticed after some 15 seconds.
_POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "options": "-c lock_timeout=5s",
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
# What of it Django has settings of its own for.
_DJANGOS = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def postgresql(name: str, url: str) -> dict[str, Any]:
    """Return Django's settings of a database from libpq's form of a URL.

    https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING: several hosts, and any
    of libpq's options. They come after ours, and win where both say something.
    """
    address(
        name,
        url,
        form=r"postgres(ql)?://[^/]*/[^/?]+(\?.*)?",
        such_as="postgres://user:password@host:5432/name",
    )
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ImproperlyConfigured(
            f"{name}: PostgreSQL does not understand it; its options, behind the ?, are those of "
            "libpq, and a special character of a password is written as its code (% is %25)."
        ) from None
    if "@" in str(given.get("host", "")):
        raise ImproperlyConfigured(f"{name}: write an @ in the password as %40.")
    database = {theirs: str(given.pop(ours, "") or "") for ours, theirs in _DJANGOS.items()}
    options = {**_POSTGRESQL_OPTIONS, **given}
    if "options" in given:
        options["options"] = f"{_POSTGRESQL_OPTIONS['options']} {given['options']}"
    return {**database, "OPTIONS": options}


def redis(name: str, url: str) -> str:
    """Return the URL of a Redis, once redis-py understands it with all its options."""
    address(name, url, form=r"rediss?://[^/]+/\d+(\?.*)?", such_as="redis://:password@host:6379/0")
    try:
        ConnectionPool.from_url(url).make_connection()
    except (TypeError, ValueError):
        raise ImproperlyConfigured(
            f"{name}: its options, behind the ?, are those of redis-py, such as "
            "ssl_ca_certs=/etc/ssl/redis.pem."
        ) from None
    return url


def broker(name: str, url: str, *, redis_url: str) -> str:
    """Return the URL that Celery gets; `url` is empty for database 1 of the Redis at `redis_url`.

    Of the options behind the ? of a Redis' URL, kombu takes those that begin with ssl_. Without
    `ssl_cert_reqs` it would check no certificate, so we set that.
    """
    if not url:
        parts = urlsplit(redis_url)
        ssl = [(key, value) for key, value in parse_qsl(parts.query) if key.startswith("ssl_")]
        url = urlunsplit((parts.scheme, parts.netloc, "/1", urlencode(ssl), ""))
    address(
        name,
        url,
        form=r"(redis|amqp)s?://.+",
        such_as="redis://:password@host:6379/1, or amqp://user:password@host:5672//",
    )
    if url.startswith("rediss:") and "ssl_cert_reqs=" not in url:
        url += f"{'&' if urlsplit(url).query else '?'}ssl_cert_reqs=required"
    try:
        kombu.Connection(url)
    except (KeyError, TypeError, ValueError):
        raise ImproperlyConfigured(
            f"{name}: its options, behind the ?, are those that kombu knows, such as "
            "ssl_ca_certs=/etc/ssl/redis.pem."
        ) from None
    return url


def mail(name: str, url: str) -> dict[str, Any]:
    """Return Django's settings of the server that takes mails, or of what stands for one."""
    such_as = "smtp+tls://user:password@host:587, or consolemail://"
    form = r"(smtp(\+tls|\+ssl|s)?://.+|(console|dummy)mail://)"
    try:
        return dict(Env.email_url_config(address(name, url, form=form, such_as=such_as)))
    except ValueError:  # a port that is no number
        raise ImproperlyConfigured(f"{name}: such as {such_as}.") from None
