"""Reading tweets."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from accounts import facade as accounts
from tweets.entries import Ref
from tweets.models import Tweet, TweetMetrics, TweetMetricsDelta
from tweets.posts import cache
from tweets.posts.rendering import RenderedTweet, render
from twitter.base.data import counters, stamped
from twitter.base.data.ids import MAX_ID, id_at

# How many tweets of each author `newest` looks at first: at least FIRST_DEPTH, and FIRST_SHARES
# times as many as each author would have if all wrote alike. An author of still more takes another
# scan.
FIRST_DEPTH, FIRST_SHARES = 4, 8


# A transaction that takes longer than this does not hold the readers of news back. It belongs to no
# request: requests have ended by then, or news could leave out their tweets for ever.
LONGEST_WRITE_SECONDS: int = settings.LONGEST_REQUEST_SECONDS


def newest(
    *,
    author_ids: Sequence[int],
    limit: int,
    before: int = MAX_ID,
    after: int = 0,
    oldest_first: bool = False,
) -> list[Ref]:
    """Return up to `limit` tweets by these authors with after < id < before.

    They are the newest ones, newest first; or the oldest ones, oldest first. Each author takes a
    short scan of the index by author and id; authors who have more tweets than that scan returned
    take longer ones. Fewer than `limit` tweets mean that there were no more at that time.
    """
    bounds = {"before": before, "after": after, "limit": limit}
    was_full = False
    statement = _NEWEST.format(order="ASC" if oldest_first else "DESC")
    depth = min(limit, FIRST_DEPTH + FIRST_SHARES * limit // max(len(author_ids), 1))
    found: list[_Row] = []
    authors = list(author_ids)
    while authors:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**bounds, "authors": authors, "depth": depth})
            found += [_Row(*row) for row in cursor.fetchall()]
        found.sort(reverse=not oldest_first)
        del found[limit:]
        if len(found) == limit:  # What comes after the last of these is not among them.
            was_full = True
            if oldest_first:
                bounds["before"] = found[-1].id + 1
            else:
                bounds["after"] = found[-1].id - 1
        # An author's further tweets belong here only if all of the author's `depth` rows do.
        rows = Counter(row.author_id for row in found)
        authors = [author for author in authors if rows[author] == depth < limit]
        depth = min(limit, depth * 8)
        deeper = set(authors)
        found = [row for row in found if row.author_id not in deeper]
    refs = refs_of(found)
    if was_full and len(refs) < limit:  # One of them was removed before the next statement.
        return newest(
            author_ids=author_ids,
            limit=limit,
            before=before,
            after=after,
            oldest_first=oldest_first,
        )
    return refs


class _Row(NamedTuple):
    id: int
    original_id: int | None
    author_id: int


def refs_of(rows: Iterable[_Row | Tweet]) -> list[Ref]:
    """Return rows as refs, without retweets whose original has no row.

    If there are retweets, one more statement reads the original authors.
    """
    rows = list(rows)
    authors = authors_of({row.original_id for row in rows if row.original_id})
    return [
        Ref(row.id, row.author_id, row.original_id, authors[row.original_id])
        if row.original_id
        else Ref(row.id, row.author_id)
        for row in rows
        if not row.original_id or row.original_id in authors
    ]


def authors_of(tweet_ids: Collection[int]) -> dict[int, int]:
    """Return the author of each of these tweets that has a row, visible or not."""
    if not tweet_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, author_id FROM {Tweet._meta.db_table} WHERE id = ANY(%s)",
            [list(tweet_ids)],
        )
        return dict(cursor.fetchall())


_NEWEST = f"""
    SELECT tweet.id, tweet.original_id, author.id
    FROM unnest(%(authors)s::bigint[]) AS author (id)
    CROSS JOIN LATERAL (
        SELECT id, original_id FROM {Tweet._meta.db_table}
        WHERE author_id = author.id AND state = {Tweet.State.VISIBLE}
            AND id < %(before)s AND id > %(after)s
        ORDER BY id {{order}} LIMIT %(depth)s) AS tweet
    ORDER BY tweet.id {{order}} LIMIT %(limit)s"""


def clock() -> int:
    """Return Postgres' time, in microseconds since 1970."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {stamped.NOW}")
        [(now,)] = cursor.fetchall()
    return int(now)


class Settled(NamedTuple):
    """Two ids: below `id` no tweet can become visible any more; `now` is the one made just now."""

    id: int
    now: int


def settled() -> Settled:
    """Return the id up to which tweets are settled.

    Transactions commit in any order, so a reader of news who went on from the newest id that it
    saw would miss a smaller one, committed later. Every id is made by `clock_timestamp()` within
    its transaction, hence after `xact_start`; so nothing below the oldest writer's `xact_start`
    is still to come. A writer has a transaction id, or is about to get one in a statement that
    began just now. Autovacuum has one as well, and writes no tweets.
    """
    statement = f"""
        SELECT least(statement_timestamp(), min(xact_start)), statement_timestamp()
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type <> 'autovacuum worker'
            AND xact_start > statement_timestamp() - interval '{LONGEST_WRITE_SECONDS} seconds'
            AND (backend_xid IS NOT NULL
                OR query_start > statement_timestamp() - interval '1 second')"""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        [(oldest, now)] = cursor.fetchall()
    return Settled(id=id_at(oldest), now=id_at(now))


_COUNTS = counters.names(TweetMetrics)
_SUMS = counters.sums(TweetMetrics, TweetMetricsDelta, key="tweet_id", of="tweet.id")
# A row for each id that is asked for, visible or not: each says when PostgreSQL was read.
_LOAD = f"""
    SELECT wanted.id, author_id, text, original_id, {stamped.NOW}, {_SUMS.columns}
    FROM unnest(%s::bigint[]) AS wanted (id)
    LEFT JOIN {Tweet._meta.db_table} AS tweet
        ON tweet.id = wanted.id AND state = {Tweet.State.VISIBLE}
    {_SUMS.joins}"""


class Fresh(NamedTuple):
    """Tweets as PostgreSQL had them at `read_at`; None for one that is not visible by itself.

    `read_at` is in microseconds of PostgreSQL's clock.
    """

    tweets: dict[int, RenderedTweet | None]
    read_at: int


def filled(ids: Collection[int]) -> dict[int, RenderedTweet | None]:
    """Return tweets from PostgreSQL, and cache them; None for one that is not visible."""
    found = fresh(ids)
    cache.fill(found.tweets, read_at=found.read_at)
    return found.tweets


def fresh(ids: Collection[int]) -> Fresh:
    """Return tweets from PostgreSQL, rendered, with exact counts.

    It takes one statement, and one more for the authors of originals that are not among the tweets.
    It does not check whether the authors are visible.
    """
    rows = _load(ids)
    loaded = [_loaded(row) for row in rows if row[1] is not None]
    authors = {tweet.pk: tweet.author_id for tweet in loaded}
    originals = {tweet.original_id for tweet in loaded if tweet.original_id}
    authors |= authors_of(originals - authors.keys())
    tweets: dict[int, RenderedTweet | None] = {row[0]: None for row in rows}
    for tweet in loaded:
        tweets[tweet.pk] = render(tweet, original_author_id=authors.get(tweet.original_id or 0, 0))
    return Fresh(tweets=tweets, read_at=rows[0][4] if rows else 0)


def _load(ids: Collection[int]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [list(ids)])
        return list(cursor.fetchall())


def _loaded(row: tuple[Any, ...]) -> Tweet:
    tweet_id, author_id, text, original_id, _, *counts = row
    tweet = Tweet(id=tweet_id, author_id=author_id, text=text, original_id=original_id)
    vars(tweet).update(zip(_COUNTS, counts, strict=True))
    return tweet


def is_visible(tweet_id: int) -> bool:
    """Tell from Postgres whether readers may see the tweet and its author now."""
    return bool(visible([tweet_id]))


def visible(tweet_ids: Collection[int]) -> set[int]:
    """Return from Postgres which of the tweets readers may see now, and their authors as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, author_id FROM {Tweet._meta.db_table}"
            f" WHERE id = ANY(%s) AND state = {Tweet.State.VISIBLE}",
            [list(tweet_ids)],
        )
        found = dict(cursor.fetchall())
    authors = accounts.visible(set(found.values())) if found else set()
    return {tweet_id for tweet_id, author_id in found.items() if author_id in authors}


def author_of(tweet_id: int) -> int | None:
    """Return from Postgres who wrote a tweet that is visible by itself now, else None."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT author_id FROM {Tweet._meta.db_table}"
            f" WHERE id = %s AND state = {Tweet.State.VISIBLE}",
            [tweet_id],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def removed_between(
    *, author_ids: Sequence[int], since: datetime, until: datetime, limit: int
) -> list[tuple[int, datetime]]:
    """Return tweets by these authors that were removed, and when: `since` <= moment < `until`.

    The oldest removals first, at most `limit`. For each author a short scan of an index.
    """
    statement = """
        SELECT gone.tweet_id, gone.removed_at FROM unnest(%(authors)s::bigint[]) AS author (id)
        CROSS JOIN LATERAL (
            SELECT tweet_id, removed_at FROM tweets_tombstone
            WHERE author_id = author.id AND removed_at >= %(since)s AND removed_at < %(until)s
            ORDER BY removed_at LIMIT %(limit)s) AS gone
        ORDER BY gone.removed_at LIMIT %(limit)s"""
    parameters: dict[str, Any] = {
        "authors": list(author_ids),
        "since": since,
        "until": until,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [(row[0], row[1]) for row in cursor.fetchall()]


def hidden_since(tweet_ids: Collection[int], *, since: datetime) -> dict[int, datetime]:
    """Return which of the tweets were hidden or deleted at `since` or later, and when."""
    gone = Tweet.objects.filter(id__in=tweet_ids, removed_at__gte=since)
    rows = gone.values_list("id", "removed_at")
    return {tweet_id: moment for tweet_id, moment in rows if moment}
