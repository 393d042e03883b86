"""What reactions declare."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection, transaction
from rest_framework import serializers

from tweets.declared import Mark, Subject, mark_of_rows
from tweets.models import Bookmark, Like, Tweet, TweetMetricsDelta
from tweets.posts.serializers import TWEET_EXAMPLE
from twitter.base import declared
from twitter.base.data import keyset
from twitter.base.data.ids import WireIdField, time_of
from twitter.base.declared import Export, Row
from twitter.base.http.shapes import EXAMPLE_TIME

LIKED = mark_of_rows("liked", table=Like._meta.db_table, help_text="Those that the reader likes.")
# A retweet is newer than its original. So if all of the reader's tweets above an id are known, it
# is known as well what the reader retweeted above that id.
RETWEETED = Mark(
    name="retweeted",
    help_text="Those that the reader retweeted.",
    with_query=f"""own AS (
        SELECT id, original_id, state FROM {Tweet._meta.db_table}
        WHERE author_id = %(reader)s ORDER BY id DESC LIMIT %(newest)s)""",
    newest=f"""SELECT original_id FROM own
        WHERE original_id IS NOT NULL AND state = {Tweet.State.VISIBLE}""",
    floor="(SELECT min(id) FROM own HAVING count(*) = %(newest)s)",
    asked=f"""SELECT original_id FROM {Tweet._meta.db_table}
        WHERE author_id = %(reader)s AND state = {Tweet.State.VISIBLE}
        AND original_id = ANY(%(asked)s)""",
)

BOOKMARKED = mark_of_rows(
    "bookmarked",
    table=Bookmark._meta.db_table,
    help_text="Those that the reader bookmarked. Only the reader is told.",
)
# What `viewer` has, in this order.
MARKS: Sequence[Mark] = (LIKED, RETWEETED, BOOKMARKED)


class ExportedLikeSerializer(serializers.Serializer[Any]):
    """A like; when it was given is not stored."""

    tweet_id = WireIdField()


def _likes(account_id: int) -> Iterator[Row]:
    likes = Like.objects.filter(account_id=account_id)
    for (tweet_id,) in keyset.walk(likes, key="tweet_id"):
        yield {"tweet_id": str(tweet_id)}


def _erase_likes_of_tweets(tweet_ids: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM tweets_like WHERE (account_id, tweet_id) IN"
            " (SELECT account_id, tweet_id FROM tweets_like WHERE tweet_id = ANY(%s) LIMIT %s)",
            [list(tweet_ids), declared.STEP],
        )
        return int(cursor.rowcount)


@transaction.atomic
def _erase_likes_by(account_id: int) -> int:
    liked = list(
        Like.objects.filter(account_id=account_id)
        .select_for_update()
        .values_list("tweet_id", flat=True)[: declared.STEP]
    )
    Like.objects.filter(account_id=account_id, tweet_id__in=liked).delete()
    TweetMetricsDelta.objects.bulk_create(
        TweetMetricsDelta(tweet_id=tweet_id, like_count=-1) for tweet_id in liked
    )
    return len(liked)


class ExportedBookmarkSerializer(serializers.Serializer[Any]):
    """A bookmark."""

    tweet_id = WireIdField()
    bookmarked_at = serializers.DateTimeField()


def _bookmarks(account_id: int) -> Iterator[Row]:
    bookmarks = Bookmark.objects.filter(account_id=account_id)
    for number, tweet_id in keyset.walk(bookmarks, "tweet_id"):
        yield {"tweet_id": str(tweet_id), "bookmarked_at": time_of(number)}


def _erase_bookmarks_of_tweets(tweet_ids: Sequence[int]) -> int:
    return declared.delete_some(Bookmark.objects.filter(tweet_id__in=tweet_ids))


def _erase_bookmarks_by(account_id: int) -> int:
    return declared.delete_some(Bookmark.objects.filter(account_id=account_id))


SUBJECT = Subject(
    exports=(
        Export(
            name="likes",
            rows=_likes,
            described_by=ExportedLikeSerializer,
            example=[{"tweet_id": TWEET_EXAMPLE["id"]}],
        ),
        Export(
            name="bookmarks",
            rows=_bookmarks,
            described_by=ExportedBookmarkSerializer,
            example=[{"tweet_id": TWEET_EXAMPLE["id"], "bookmarked_at": EXAMPLE_TIME}],
        ),
    ),
    erase=(_erase_likes_by, _erase_bookmarks_by),
    erase_of_tweets=(_erase_likes_of_tweets, _erase_bookmarks_of_tweets),
)
