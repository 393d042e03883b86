"""Reading tweets."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from accounts import facade as accounts
from tweets import cache
from tweets.cache import Found, Viewer
from tweets.models import NOBODY, Like, Tweet
from tweets.rendering import Hydration, RenderedTweet, render
from twitter.lib import metrics, stamped
from twitter.lib.ids import MAX_ID, id_at

# Tweets of each author that `newest` looks at first: at least so many, and so many times as many as
# each had if all wrote alike. Who wrote still more takes another scan.
FIRST_DEPTH, FIRST_SHARES = 4, 8
# Likes, and own tweets, that an account's cached viewer state goes back to.
VIEWER_SIZE = 500
# A transaction that takes longer than this does not hold the readers of news back: it is none of a
# request, which are ended by then: else a tweet of theirs could be left out for ever.
LONGEST_WRITE_SECONDS: int = settings.LONGEST_REQUEST_SECONDS


class TweetRef(NamedTuple):
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

    They are the newest ones, newest first; or the oldest ones, oldest first. For each author a
    short scan of the index by author and id; then longer ones for those authors who have more to
    give than was asked for. Fewer than `limit` means that there were no more when it was asked.
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
        # What comes after an author's `depth` rows would be among these only if all of them are.
        rows = Counter(row.author_id for row in found)
        authors = [author for author in authors if rows[author] == depth < limit]
        depth = min(limit, depth * 8)
        deeper = set(authors)
        found = [row for row in found if row.author_id not in deeper]
    if was_full and len(found) < limit:  # One of them was removed before the next scan.
        return newest(
            author_ids=author_ids,
            limit=limit,
            before=before,
            after=after,
            oldest_first=oldest_first,
        )
    return [TweetRef(id=row.id, original_id=row.original_id or 0) for row in found]


class _Row(NamedTuple):
    id: int
    original_id: int | None
    author_id: int


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


# Totals and pending changes in one statement, hence in one snapshot: folding moves no number.
_LOAD = f"""
    SELECT tweet.id, author_id, text, original_id,
        coalesce(total.like_count, 0) + coalesce(pending.like_count, 0),
        coalesce(total.retweet_count, 0) + coalesce(pending.retweet_count, 0),
        {stamped.NOW}
    FROM {Tweet._meta.db_table} AS tweet
    LEFT JOIN tweets_tweetmetrics AS total ON total.tweet_id = tweet.id
    CROSS JOIN LATERAL (
        SELECT sum(like_count)::integer AS like_count,
            sum(retweet_count)::integer AS retweet_count
        FROM tweets_tweetmetricsdelta WHERE tweet_id = tweet.id) AS pending
    WHERE tweet.id = ANY(%s) AND state = {Tweet.State.VISIBLE}"""


def load(ids: Collection[int]) -> list[Tweet]:
    """Return those of the tweets that are visible by themselves, with exact counts, in any order.

    One query. Whether their authors are visible is not looked at. `read_at` says when Postgres was
    asked, in microseconds of its clock.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [list(ids)])
        return [_loaded(row) for row in cursor.fetchall()]


def _loaded(row: tuple[Any, ...]) -> Tweet:
    tweet_id, author_id, text, original_id, like_count, retweet_count, read_at = row
    tweet = Tweet(id=tweet_id, author_id=author_id, text=text, original_id=original_id)
    vars(tweet).update(like_count=like_count, retweet_count=retweet_count, read_at=read_at)
    return tweet


def hydrate(ids: Sequence[int], *, known: Found | None = None) -> Hydration:
    """Return those of the tweets that readers may see, with all that they refer to.

    From Redis in one round trip, or without one if all are `known`. What is missing there comes
    from Postgres, in one query for tweets, one for their originals and one for users, and is
    written back.
    """
    tweets: dict[int, RenderedTweet] = dict(known.tweets) if known else {}
    users = dict(known.users) if known else {}
    if more := [number for number in ids if number not in tweets]:
        found = cache.fetch(more)
        tweets |= found.tweets
        users |= found.users
    hits, cached = len(tweets) + len(users), len(tweets)
    _render_missing(tweets, ids)
    _render_missing(tweets, {tweet.original_id for tweet in tweets.values()} - {0})
    metrics.looked_up(hits=hits, misses=len(tweets) - cached)
    authors = {tweet.author_id for tweet in tweets.values()}
    if missing := authors - users.keys():
        users |= accounts.cards(missing)
    return _visible(tweets, users)


def _render_missing(tweets: dict[int, RenderedTweet], ids: Collection[int]) -> None:
    """Add those of the tweets that are visible by themselves and not there yet."""
    if missing := [number for number in ids if number not in tweets]:
        loaded = fresh(missing)
        cache.store(loaded)
        tweets |= loaded


def fresh(ids: Collection[int]) -> dict[int, RenderedTweet]:
    """Return those of the tweets that are visible by themselves, rendered, from Postgres."""
    return {tweet.pk: render(tweet) for tweet in load(ids)}


def _visible(tweets: dict[int, RenderedTweet], users: dict[int, bytes]) -> Hydration:
    """Leave out tweets whose author, or whose original, may not be seen."""
    for number, tweet in list(tweets.items()):
        if tweet.author_id not in users:
            del tweets[number]
    for number, tweet in list(tweets.items()):
        if tweet.original_id and tweet.original_id not in tweets:
            del tweets[number]
    return Hydration(tweets=tweets, users=users)


def is_visible(tweet_id: int) -> bool:
    """Tell from Postgres whether readers may see the tweet and its author now."""
    author_id = author_of(tweet_id)
    return author_id is not None and bool(accounts.visible({author_id}))


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


@dataclass(frozen=True)
class ViewerState:
    """Which of some tweets the reader liked and retweeted."""

    liked: Collection[int]
    retweeted: Collection[int]


def viewer_state(*, viewer_id: int, ids: Sequence[int]) -> ViewerState:
    """Return what the viewer did to these tweets; warm, in one round trip to Redis."""
    viewer = cache.fetch_viewer(viewer_id)
    if viewer is None:
        viewer = _stored_viewer(viewer_id)
        cache.store_viewer(viewer_id, viewer)
    return viewer_state_in(viewer, ids) or _stored_viewer_state(viewer_id=viewer_id, ids=ids)


def viewer_state_in(viewer: Viewer, ids: Sequence[int]) -> ViewerState | None:
    """Return what the viewer did to these tweets, or None when one is too old to tell."""
    if ids and min(ids) <= viewer.floor:
        return None
    return ViewerState(
        liked=viewer.liked.intersection(ids), retweeted=viewer.retweeted.intersection(ids)
    )


def _stored_viewer(viewer_id: int) -> Viewer:
    """Return the newest of what the viewer liked and retweeted, in one query.

    A retweet is newer than its original. So who knows all of the viewer's tweets above an id knows
    whether the viewer retweeted anything above that id.
    """
    statement = f"""
        WITH own AS (
            SELECT id, original_id, state FROM {Tweet._meta.db_table}
            WHERE author_id = %(viewer)s ORDER BY id DESC LIMIT {VIEWER_SIZE})
        SELECT
            array(SELECT tweet_id FROM {Like._meta.db_table} WHERE account_id = %(viewer)s
                ORDER BY tweet_id DESC LIMIT {VIEWER_SIZE}),
            array(SELECT original_id FROM own
                WHERE original_id IS NOT NULL AND state = {Tweet.State.VISIBLE}),
            (SELECT min(id) FROM own HAVING count(*) = {VIEWER_SIZE}),
            {stamped.NOW}"""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"viewer": viewer_id})
        [(liked, retweeted, oldest, read_at)] = cursor.fetchall()
    floor = max(oldest or 0, liked[-1] if len(liked) == VIEWER_SIZE else 0)
    return Viewer(
        read_at=read_at, floor=floor, liked=frozenset(liked), retweeted=frozenset(retweeted)
    )


def _stored_viewer_state(*, viewer_id: int, ids: Sequence[int]) -> ViewerState:
    statement = f"""
        SELECT tweet_id, true FROM {Like._meta.db_table}
        WHERE account_id = %(viewer)s AND tweet_id = ANY(%(ids)s)
        UNION ALL
        SELECT original_id, false FROM {Tweet._meta.db_table}
        WHERE author_id = %(viewer)s AND original_id = ANY(%(ids)s)
            AND state = {Tweet.State.VISIBLE}"""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"viewer": viewer_id, "ids": list(ids)})
        rows = cursor.fetchall()
    return ViewerState(
        liked=[row[0] for row in rows if row[1]], retweeted=[row[0] for row in rows if not row[1]]
    )


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
