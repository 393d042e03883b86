"""Likes and retweets: one transaction each, with the event that tells of it."""

from django.db import connection, transaction

from tweets import pipeline
from tweets.entries import Ref
from tweets.events import MarksChanged
from tweets.models import (
    LIKE_ACCOUNT_REFERENCE,
    LIKE_TWEET_REFERENCE,
    METRICS_DELTA_TWEET_REFERENCE,
    TWEET_AUTHOR_REFERENCE,
    TWEET_ORIGINAL_REFERENCE,
    Tweet,
)
from tweets.posts.counts import show_counts_after_commit
from tweets.posts.services import ACCOUNT_GONE, NO_TWEET, delete_locked, publish_visible
from tweets.reader import reader
from twitter.base.http.errors import NotFound, Unauthenticated, unless_purged
from twitter.outbox.events import publish

_LIKE = {
    LIKE_ACCOUNT_REFERENCE: Unauthenticated(ACCOUNT_GONE),
    LIKE_TWEET_REFERENCE: NotFound(NO_TWEET),
    METRICS_DELTA_TWEET_REFERENCE: NotFound(NO_TWEET),
}
_RETWEET = {
    TWEET_AUTHOR_REFERENCE: Unauthenticated(ACCOUNT_GONE),
    TWEET_ORIGINAL_REFERENCE: NotFound(NO_TWEET),
    METRICS_DELTA_TWEET_REFERENCE: NotFound(NO_TWEET),
}


def like(*, account_id: int, tweet_id: int) -> None:
    """Like a tweet, or a retweet's original; liking again changes nothing. Raises NotFound."""
    _change_like(
        """WITH changed AS (
            INSERT INTO tweets_like (account_id, tweet_id) VALUES (%s, %s)
            ON CONFLICT DO NOTHING RETURNING tweet_id)
        INSERT INTO tweets_tweetmetricsdelta (tweet_id, like_count)
        SELECT tweet_id, 1 FROM changed""",
        account_id=account_id,
        tweet_id=tweet_id,
    )


def unlike(*, account_id: int, tweet_id: int) -> None:
    """Take a like back; doing so again changes nothing. Raises NotFound."""
    _change_like(
        """WITH changed AS (
            DELETE FROM tweets_like WHERE account_id = %s AND tweet_id = %s RETURNING tweet_id)
        INSERT INTO tweets_tweetmetricsdelta (tweet_id, like_count)
        SELECT tweet_id, -1 FROM changed""",
        account_id=account_id,
        tweet_id=tweet_id,
    )


def _change_like(statement: str, *, account_id: int, tweet_id: int) -> None:
    original_id, _ = original_of(tweet_id, reader_id=account_id)
    with unless_purged(_LIKE), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [account_id, original_id])
        if cursor.rowcount:
            publish(MarksChanged(account_id=account_id))
            show_counts_after_commit(original_id)


def retweet(*, account_id: int, tweet_id: int) -> tuple[int, bool]:
    """Retweet a tweet, or a retweet's original, once. Raises NotFound.

    Returns the id of the retweet, and whether it is new.
    """
    original_id, original_author_id = original_of(tweet_id, reader_id=account_id)
    with unless_purged(_RETWEET), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                f"""WITH retweet AS (
                    INSERT INTO tweets_tweet (author_id, original_id, text, state)
                    VALUES (%s, %s, '', {Tweet.State.VISIBLE})
                    ON CONFLICT (original_id, author_id) WHERE original_id IS NOT NULL DO NOTHING
                    RETURNING id, original_id),
                counted AS (
                    INSERT INTO tweets_tweetmetricsdelta (tweet_id, retweet_count)
                    SELECT original_id, 1 FROM retweet)
                SELECT id FROM retweet""",
                [account_id, original_id],
            )
            row = cursor.fetchone()
        if row is None:
            existing = Tweet.objects.filter(author_id=account_id, original_id=original_id)
            return existing.values_list("id", flat=True).get(), False
        retweet_id: int = row[0]
        publish_visible(Ref(retweet_id, account_id, original_id, original_author_id))
        show_counts_after_commit(original_id)
    return retweet_id, True


def undo_retweet(*, account_id: int, tweet_id: int) -> None:
    """Take a retweet back; doing so again changes nothing. Raises NotFound."""
    original_id, _ = original_of(tweet_id, reader_id=account_id)
    with transaction.atomic():
        own = Tweet.objects.filter(author_id=account_id, original_id=original_id)
        for undone in own.select_for_update():
            delete_locked(undone)


def original_of(tweet_id: int, *, reader_id: int) -> tuple[int, int]:
    """Return the ids of a tweet, or of a retweet's original, and of its author; else NotFound."""
    page = pipeline.tweet(tweet_id, reader=reader(reader_id))
    if not page.refs:
        raise NotFound(NO_TWEET)
    [ref] = page.refs
    return (ref.original_id, ref.original_author_id) if ref.original_id else ref[:2]
