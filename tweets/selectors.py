"""Reading tweets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import IntegerField, OuterRef, Subquery, Sum
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from accounts import facade as accounts
from tweets import cache
from tweets.models import NOBODY, Tweet, TweetMetricsDelta
from tweets.rendering import Hydration, RenderedTweet, render
from twitter.lib.ids import MAX_ID, id_at

# A transaction that takes longer than this does not hold the readers of news back.
LONGEST_WRITE_SECONDS = 10


@dataclass(frozen=True)
class TweetRef:
    """A tweet in a skeleton. `original_id` is 0 unless it is a retweet."""

    id: int
    original_id: int


def newest(
    *,
    author_ids: Sequence[int],
    limit: int,
    before: int = MAX_ID,
    after: int = 0,
    oldest_first: bool = False,
) -> list[TweetRef]:
    """Return up to `limit` tweets by these authors with after < id < before.

    They are the newest ones, newest first; or the oldest ones, oldest first. One query: for each
    author a short scan of the index by author and id.
    """
    order = "ASC" if oldest_first else "DESC"
    statement = f"""
        SELECT tweet.id, tweet.original_id
        FROM unnest(%(authors)s::bigint[]) AS author (id)
        CROSS JOIN LATERAL (
            SELECT id, original_id FROM {Tweet._meta.db_table}
            WHERE author_id = author.id AND state = {Tweet.State.VISIBLE}
                AND id < %(before)s AND id > %(after)s
            ORDER BY id {order} LIMIT %(limit)s) AS tweet
        ORDER BY tweet.id {order} LIMIT %(limit)s"""
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {"authors": list(author_ids), "before": before, "after": after, "limit": limit},
        )
        return [TweetRef(id=row[0], original_id=row[1] or 0) for row in cursor.fetchall()]


def settled_id() -> int:
    """Return an id below which no tweet can become visible any more.

    Transactions commit in any order, so a reader of news who went on from the newest id that it
    saw would miss a smaller one, committed later. Every id is made by `clock_timestamp()` within
    its transaction, hence after `xact_start`; so nothing below the oldest writer's `xact_start`
    is still to come. A writer has a transaction id, or is about to get one in a statement that
    began just now.
    """
    statement = f"""
        SELECT least(statement_timestamp(), min(xact_start)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND xact_start > statement_timestamp() - interval '{LONGEST_WRITE_SECONDS} seconds'
            AND (backend_xid IS NOT NULL
                OR query_start > statement_timestamp() - interval '1 second')"""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return id_at(row[0]) if row else 0


def load(ids: Collection[int]) -> list[Tweet]:
    """Return those of the tweets that are visible by themselves, with exact counts, in any order.

    One query. Whether their authors are visible is not looked at.
    """
    return list(
        Tweet.objects.filter(id__in=ids, state=Tweet.State.VISIBLE).annotate(
            like_count=_count("like_count"), retweet_count=_count("retweet_count")
        )
    )


def _count(field: str) -> CombinedExpression:
    pending = (
        TweetMetricsDelta.objects.filter(tweet=OuterRef("pk"))
        .order_by()
        .values("tweet")
        .annotate(total=Sum(field))
        .values("total")
    )
    return Coalesce(f"metrics__{field}", 0) + Coalesce(
        Subquery(pending, output_field=IntegerField()), 0
    )


def rendered(ids: Collection[int]) -> dict[int, RenderedTweet]:
    """Return those of the tweets that are visible by themselves, rendered.

    From Redis in one round trip; what is missing there from Postgres in one query, written back.
    """
    found = cache.fetch(ids)
    missing = [tweet_id for tweet_id in ids if tweet_id not in found]
    if missing:
        fresh = {tweet.pk: render(tweet) for tweet in load(missing)}
        cache.store(fresh)
        found |= fresh
    return found


def hydrate(ids: Collection[int]) -> Hydration:
    """Return those of the tweets that readers may see, with all that they refer to."""
    tweets = rendered(ids)
    originals = {tweet.original_id for tweet in tweets.values()} - {0} - tweets.keys()
    if originals:
        tweets |= rendered(originals)
    users = accounts.cards({tweet.author_id for tweet in tweets.values()})
    tweets = {number: tweet for number, tweet in tweets.items() if tweet.author_id in users}
    return Hydration(
        tweets={
            number: tweet
            for number, tweet in tweets.items()
            if not tweet.original_id or tweet.original_id in tweets
        },
        users=users,
    )


def is_visible(tweet_id: int) -> bool:
    """Tell from Postgres whether readers may see the tweet and its author now."""
    author_id = (
        Tweet.objects.filter(id=tweet_id, state=Tweet.State.VISIBLE)
        .values_list("author_id", flat=True)
        .first()
    )
    return author_id is not None and bool(accounts.visible({author_id}))


@dataclass(frozen=True)
class ViewerState:
    """Which of some tweets the reader liked and retweeted."""

    liked: set[int]
    retweeted: set[int]


def viewer_state(*, viewer_id: int, ids: Sequence[int]) -> ViewerState:
    """Return what the viewer did to these tweets; one query."""
    statement = f"""
        SELECT tweet_id, true FROM tweets_like
        WHERE account_id = %(viewer)s AND tweet_id = ANY(%(ids)s)
        UNION ALL
        SELECT original_id, false FROM {Tweet._meta.db_table}
        WHERE author_id = %(viewer)s AND original_id = ANY(%(ids)s)
            AND state = {Tweet.State.VISIBLE}"""
    state = ViewerState(liked=set(), retweeted=set())
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"viewer": viewer_id, "ids": list(ids)})
            for tweet_id, is_like in cursor.fetchall():
                (state.liked if is_like else state.retweeted).add(tweet_id)
    return state


def removed_since(*, author_ids: Sequence[int], since: datetime, limit: int) -> list[int]:
    """Return ids of tweets by these authors, and of retweets, that went away since then.

    The newest removals first, at most `limit`; a retweet goes away with its original. Tweets of
    accounts that are all purged are among them, whoever followed these: nobody knows any more.
    """
    statement = """
        SELECT id FROM (
            SELECT tweet_id AS id, removed_at FROM tweets_tombstone
            WHERE author_id = ANY(%(authors)s) AND removed_at >= %(since)s
            UNION ALL
            SELECT retweet.id, tombstone.removed_at FROM tweets_tombstone AS tombstone
            JOIN tweets_tweet AS retweet ON retweet.original_id = tombstone.tweet_id
            WHERE retweet.author_id = ANY(%(authors)s)
                AND tombstone.removed_at >= %(since)s) AS gone
        ORDER BY removed_at DESC LIMIT %(limit)s"""
    with connection.cursor() as cursor:
        cursor.execute(
            statement, {"authors": [*author_ids, NOBODY], "since": since, "limit": limit}
        )
        return [row[0] for row in cursor.fetchall()]


def retweets_of_authors(
    *, author_ids: Sequence[int], original_author_ids: Sequence[int], limit: int
) -> list[int]:
    """Return recent retweets by the former, of tweets by the latter; `limit` for each author."""
    statement = f"""
        SELECT retweet.id
        FROM unnest(%(authors)s::bigint[]) AS author (id)
        CROSS JOIN LATERAL (
            SELECT id, original_id FROM {Tweet._meta.db_table}
            WHERE author_id = author.id AND state = {Tweet.State.VISIBLE}
            ORDER BY id DESC LIMIT %(limit)s) AS retweet
        JOIN {Tweet._meta.db_table} AS original ON original.id = retweet.original_id
        WHERE original.author_id = ANY(%(original_authors)s)"""
    parameters: dict[str, Any] = {
        "authors": list(author_ids),
        "original_authors": list(original_author_ids),
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]
