"""Storing many tweets at once, dated in the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from tweets.events import ImportEnded, TweetsImported
from twitter.base.data.ids import EPOCH, SEQUENCE_BITS, SEQUENCE_NAME
from twitter.outbox.events import publish


@dataclass(frozen=True)
class OldTweet:
    """A tweet as it comes from elsewhere; `text` is one that `text.parse` accepted."""

    author_id: int
    text: str
    posted_at: datetime


def import_batch(batch: Sequence[OldTweet]) -> list[int]:
    """Store tweets in one statement, with ids made for their dates; returns the ids, in order.

    They are not fanned out: call `end_import` in the end, and homes are built again. Raises
    ValueError when one is dated before ids begin, or in the future. After a tweet of the future,
    `/timeline/update` would tell of no other.
    """
    if any(not EPOCH <= tweet.posted_at <= timezone.now() for tweet in batch):
        raise ValueError(f"posted before {EPOCH:%Y-%m-%d}, or ahead")
    milliseconds = [int((tweet.posted_at - EPOCH).total_seconds() * 1000) for tweet in batch]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO tweets_tweet (id, author_id, text, state)
            SELECT milliseconds << {SEQUENCE_BITS} | nextval('{SEQUENCE_NAME}'), author, text, 0
            FROM unnest(%s::bigint[], %s::bigint[], %s::text[])
                WITH ORDINALITY AS old (milliseconds, author, text, place)
            ORDER BY place RETURNING id""",
            [milliseconds, [tweet.author_id for tweet in batch], [tweet.text for tweet in batch]],
        )
        ids = [row[0] for row in cursor.fetchall()]
        publish(TweetsImported(author_ids=[tweet.author_id for tweet in batch]))
    return ids


def end_import() -> None:
    """Tell that homes are to be built again."""
    with transaction.atomic():
        publish(ImportEnded())
