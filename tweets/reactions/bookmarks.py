"""Bookmarks: tweets that an account keeps for itself, the latest first."""

from collections.abc import Sequence

from django.db import connection, transaction

from tweets import pipeline
from tweets.entries import Entry, Ref
from tweets.events import MarksChanged
from tweets.models import BOOKMARK_ACCOUNT_REFERENCE, Bookmark, Tweet
from tweets.pipeline import Page
from tweets.posts.services import ACCOUNT_GONE, NO_TWEET
from tweets.reactions.services import original_of
from tweets.reader import Reader
from tweets.sources import StoredSource
from twitter.base.data.ids import MAX_ID
from twitter.base.http.errors import NotFound, Unauthenticated, unless_purged
from twitter.outbox.events import publish

_GONE = {BOOKMARK_ACCOUNT_REFERENCE: Unauthenticated(ACCOUNT_GONE)}


def add(*, account_id: int, tweet_id: int) -> None:
    """Bookmark a tweet, or a retweet's original; doing so again changes nothing. Raises NotFound.

    The tweet's row is locked while it is seen to be visible. So a deletion comes either before, and
    the bookmark is refused, or after, and finds the bookmark when it clears the tweet away.
    """
    original_id, author_id = original_of(tweet_id, reader_id=account_id)
    if Bookmark.objects.filter(account_id=account_id, tweet_id=original_id).exists():
        return
    with unless_purged(_GONE), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT FROM tweets_tweet WHERE id = %s AND state = {Tweet.State.VISIBLE} FOR SHARE",
            [original_id],
        )
        if not cursor.rowcount:
            raise NotFound(NO_TWEET)
        cursor.execute(
            "INSERT INTO tweets_bookmark (account_id, tweet_id, author_id) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [account_id, original_id, author_id],
        )
        if cursor.rowcount:
            publish(MarksChanged(account_id=account_id))


def remove(*, account_id: int, tweet_id: int) -> None:
    """Take a bookmark back, whether the tweet may be seen or not; again changes nothing.

    A retweet names its original, as long as its row is there.
    """
    originals = Tweet.objects.filter(id=tweet_id, original_id__isnull=False)
    named = [tweet_id, *originals.values_list("original_id", flat=True)]
    with transaction.atomic():
        deleted, _ = Bookmark.objects.filter(account_id=account_id, tweet_id__in=named).delete()
        if deleted:
            publish(MarksChanged(account_id=account_id))


def read(*, reader: Reader, limit: int, cursor: int | None) -> Page:
    """Return a page of the reader's bookmarks, the latest first; `cursor`: those before it."""
    return pipeline.read(_Source(reader.id, before=cursor or MAX_ID), reader=reader, limit=limit)


class _Source(StoredSource):
    """In the order in which they were made, whatever is older of the tweets themselves."""

    def __init__(self, account_id: int, *, before: int) -> None:
        super().__init__()
        self._account_id, self._before = account_id, before
        self._ids: dict[int, int] = {}

    def more(self, limit: int) -> Sequence[Entry]:
        own = Bookmark.objects.filter(account_id=self._account_id, id__lt=self._before)
        rows = list(own.order_by("-id").values_list("id", "tweet_id", "author_id")[:limit])
        if rows:
            self._before = rows[-1][0]
        self._ids |= {tweet_id: number for number, tweet_id, _ in rows}
        return [Ref(tweet_id, author_id).entry for _, tweet_id, author_id in rows]

    def cursor_of(self, ref: Ref) -> int:
        return self._ids[ref.id]
