"""Searching PostgreSQL and Redis for what is left of an account.

No list of tables and keys could be trusted not to be outdated. So all columns of all tables are
searched, the outbox among them, and all keys of Redis with all they hold, those of the broker too.
What holds other people's words is passed over as their subjects declare: these may mention anybody.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import redis as redis_library
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import connection

from accounts import facade as accounts
from tweets import facade as tweets
from twitter.base import declared
from twitter.base.data import redis
from twitter.base.http import limits

_SUBJECTS: Sequence[declared.Subject] = (*accounts.SUBJECTS, *tweets.SUBJECTS)
OTHERS_WORDS = {
    (model._meta.db_table, column)
    for subject in _SUBJECTS
    for model, column in subject.others_words
}
OTHERS_WORDS_IN_REDIS = tuple(
    prefix.encode() for subject in _SUBJECTS for prefix in subject.others_words_cached
)
# Types that hold neither an id of an account nor words.
HOLDS_NOTHING = {
    "boolean",
    "date",
    "double precision",
    "integer",
    "smallint",
    "timestamp with time zone",
}
# Signed and encoded: only Django tells what is in it.
ENCODED = {("django_session", "session_data")}
# Keys, and values of one key, that are fetched at once.
BATCH = 1_000

Progress = Callable[[int], object]


@dataclass(frozen=True)
class Subject:
    """Whom to look for: by id, and by words such as the username and the e-mail address.

    Words are found whole and in whatever case; but in columns of bytes anywhere, and as they are.
    Digests, by which Redis counts, are words as well.
    """

    account_id: int
    words: tuple[str, ...] = ()

    def pattern(self, *, with_words: bool = True) -> str:
        """Return a regular expression, for Python and PostgreSQL alike."""
        return "|".join(map(_whole, self.terms(with_words=with_words)))

    def terms(self, *, with_words: bool = True) -> list[str]:
        """Return what to look for, and its digests."""
        sought = [str(self.account_id), *(self.words if with_words else ())]
        return [*sought, *(limits.digest(term.lower()) for term in sought)]

    @property
    def packed(self) -> tuple[bytes, bytes]:
        """The id as this project packs it: 64 bits, from either end."""
        return struct.pack("<q", self.account_id), struct.pack(">q", self.account_id)

    def is_in(self, data: bytes, *, with_words: bool = True) -> bool:
        """Tell whether bytes name the subject."""
        searched = self._all if with_words else self._ids
        return searched.search(data) is not None or any(one in data for one in self.packed)

    @cached_property
    def _all(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern().encode(), re.IGNORECASE)

    @cached_property
    def _ids(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern(with_words=False).encode(), re.IGNORECASE)


def _whole(word: str) -> str:
    """Return a pattern that finds a word, unless it is a part of a longer one."""
    before = "[0-9A-Za-z_.+-]" if "@" in word else "[0-9A-Za-z_]"
    return f"(?<!{before}){re.escape(word)}(?![0-9A-Za-z_])"


class Column(NamedTuple):
    """A column of the database, and the type of what it holds."""

    table: str
    name: str
    type: str


def columns() -> list[Column]:
    """Return all columns that may hold something of an account."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type"
            " FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name)"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
            " ORDER BY table_name, ordinal_position"
        )
        found = [Column(*row) for row in cursor.fetchall()]
    return [
        column
        for column in found
        if column.type not in HOLDS_NOTHING and column[:2] not in OTHERS_WORDS
    ]


def in_postgres(subject: Subject, searched: Iterable[Column]) -> Iterator[str]:
    """Yield a line for each of the columns that holds something, and "" for each that does not."""
    for column in searched:
        is_encoded = column[:2] in ENCODED
        count = _count_sessions(subject) if is_encoded else _count_rows(subject, column)
        yield f"{column.table}.{column.name}: {count} rows" if count else ""


def _count_rows(subject: Subject, column: Column) -> int:
    table, name = (connection.ops.quote_name(part) for part in column[:2])
    parameters: list[Any]
    if column.type == "bigint":
        condition, parameters = f"{name} = %s", [subject.account_id]
    elif column.type == "bytea":
        parameters = [*subject.packed, *(term.encode() for term in subject.terms())]
        condition = " OR ".join([f"position(%s::bytea IN {name}) > 0"] * len(parameters))
    else:
        condition, parameters = f"{name}::text ~* %s", [subject.pattern()]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {condition}", parameters)
        [(count,)] = cursor.fetchall()
    return int(count)


def _count_sessions(subject: Subject) -> int:
    """Count the admin's sessions that belong to the account or tell something of it."""
    return sum(
        decoded.get(SESSION_KEY) == str(subject.account_id) or subject.is_in(repr(decoded).encode())
        for decoded in (session.get_decoded() for session in Session.objects.iterator())
    )


def redis_servers() -> dict[str, "redis_library.Redis"]:
    """Return clients of the cache and, if that is Redis too, of the broker."""
    servers = {"cache": redis.client()}
    if settings.BROKER_IS_REDIS:
        servers["broker"] = redis_library.Redis.from_url(settings.CELERY_BROKER_URL)
    return servers


def in_redis(subject: Subject, client: Any, *, progress: Progress) -> Iterator[str]:
    """Yield a line for each key that names the account, or holds something that does.

    `progress` is called with the number of keys that were searched. Raises redis.RedisError.
    """
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, count=BATCH)
        for key, kind in zip(keys, _kinds(client, keys), strict=True):
            if subject.is_in(key):
                yield f"{key.decode(errors='replace')}: the key"
            elif _is_held(subject, client, key, kind):
                yield f"{key.decode(errors='replace')}: in the {kind}"
        progress(len(keys))
        if not cursor:
            return


def _kinds(client: Any, keys: Iterable[bytes]) -> list[str]:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
    return [kind.decode() for kind in pipeline.execute()]


def _is_held(subject: Subject, client: Any, key: bytes, kind: str) -> bool:
    with_words = not key.startswith(OTHERS_WORDS_IN_REDIS)
    values = _values(client, key, kind)
    return any(subject.is_in(value, with_words=with_words) for value in values)


def _values(client: Any, key: bytes, kind: str) -> Iterator[bytes]:
    """Yield all that a key holds, BATCH values at a time."""
    if kind == "string":
        yield client.get(key) or b""
    elif kind == "list":
        start = 0
        while values := client.lrange(key, start, start + BATCH - 1):
            yield from values
            start += BATCH
    elif kind == "set":
        yield from client.sscan_iter(key, count=BATCH)
    elif kind == "zset":
        for member, score in client.zscan_iter(key, count=BATCH):
            yield member
            yield b"%.0f" % score
    elif kind == "hash":
        for field, value in client.hscan_iter(key, count=BATCH):
            yield field
            yield value
    elif kind != "none":  # which has expired meanwhile
        raise ValueError(f"{key!r} is a {kind}, which this cannot search.")
