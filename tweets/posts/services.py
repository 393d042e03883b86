"""Writing tweets: one transaction each, with the event that tells of it."""

from collections.abc import Callable, Iterable

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts import facade as accounts
from tweets import answers
from tweets.entries import Ref
from tweets.events import ManyRemoved, MarksChanged, TweetDeleted, TweetPosted, TweetRemoved
from tweets.models import (
    FIRST_ANSWER_ACCOUNT_REFERENCE,
    TWEET_AUTHOR_REFERENCE,
    FirstAnswer,
    Tombstone,
    Tweet,
    TweetMetricsDelta,
)
from tweets.posts import reads, rendering
from tweets.posts.counts import show_counts_after_commit
from tweets.text import ParsedText
from twitter.base.http.errors import (
    Forbidden,
    NotFound,
    Unauthenticated,
    Unprocessable,
    unless_purged,
)
from twitter.base.http.renderers import envelope
from twitter.base.observe import tracing
from twitter.outbox.events import Event, insert_and_publish, publish

ACCOUNT_GONE = "The account is gone."
NO_TWEET = "There is no such tweet."
# If a moderator removes or restores more tweets of one author at once, the followers' homes are
# built again. To change each home for each tweet would take homes times tweets.
FEW = 10
# A post with an Idempotency-Key commits with its first answer.
_POST = {
    name: Unauthenticated(ACCOUNT_GONE)
    for name in (TWEET_AUTHOR_REFERENCE, FIRST_ANSWER_ACCOUNT_REFERENCE)
}


_INSERT = f"""
    INSERT INTO tweets_tweet (author_id, text, state)
    SELECT id, %s, {Tweet.State.VISIBLE} FROM ({accounts.VISIBLE_ID}) AS author
    RETURNING id AS tweet_id, author_id, 0 AS original_id, 0 AS original_author_id"""


def post(*, author_id: int, text: ParsedText, card: bytes = b"") -> bytes:
    """Post a tweet. Returns the answer: the tweet's envelope. `card`: the author's, if it is known.

    One statement stores all (docs/adr/0050-a-post-is-one-statement.md). Raises Unauthenticated when
    the account was suspended or deleted a moment ago.
    """
    card = card or accounts.cards({author_id}).get(author_id, b"")
    if not card:
        raise Unauthenticated(ACCOUNT_GONE)
    with tracing.span("post"), unless_purged(_POST):
        posted = insert_and_publish(TweetPosted, _INSERT, [text.text, author_id])
    if posted is None:
        raise Unauthenticated(ACCOUNT_GONE)
    tweet = Tweet(id=posted.tweet_id, author_id=author_id, text=text.text)
    tweet.entities = text.entities  # type: ignore[attr-defined]  # for the serializer, as counts are
    return envelope(
        {
            "data": rendering.render(tweet).body,
            "includes": b'{"users":[%b],"tweets":[]}' % card,
            "viewer": answers.viewer({}),
        }
    )


def once(*, account_id: int, key: str, request_hash: bytes, answer: Callable[[], bytes]) -> bytes:
    """Return `answer()`, or what it returned when the account first sent this Idempotency-Key.

    Two requests at once with one key: the second waits for the first one's commit at the unique
    constraint. Raises Unprocessable when the key came with another request before, Unauthenticated
    when the account is gone.
    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    """
    with unless_purged(_POST), transaction.atomic():
        first = _claim_key(account_id=account_id, key=key, request_hash=request_hash)
        if first is None:
            body = answer()
            FirstAnswer.objects.filter(account_id=account_id, key=key).update(body=body)
            return body
    if bytes(first.request_hash) != request_hash:
        raise Unprocessable("This Idempotency-Key was used with another body.")
    return bytes(first.body)


def _claim_key(*, account_id: int, key: str, request_hash: bytes) -> FirstAnswer | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tweets_firstanswer (account_id, key, request_hash, body)"
            " VALUES (%s, %s, %s, '') ON CONFLICT DO NOTHING",
            [account_id, key, request_hash],
        )
        if cursor.rowcount:
            return None
    return FirstAnswer.objects.get(account_id=account_id, key=key)


def delete(*, account_id: int, tweet_id: int) -> None:
    """Delete one's own tweet or retweet. Raises NotFound, or Forbidden when it is another's."""
    with transaction.atomic():
        tweet = _locked(tweet_id)
        if tweet.author_id != account_id:
            if reads.is_visible(tweet_id):
                raise Forbidden("This is not your tweet.")
            raise NotFound(NO_TWEET)
        delete_locked(tweet)


def delete_locked(tweet: Tweet) -> None:
    """Delete a locked tweet or retweet, within the running transaction.

    A tweet's text goes at once; its row stays, unseen, until what others made of it, such as
    retweets and likes, was purged in bounded steps.
    """
    if tweet.state == Tweet.State.VISIBLE:
        publish_removed([tweet])
    delete_removed(tweet)


def delete_removed(tweet: Tweet) -> None:
    """Delete a tweet or retweet that readers do not see any more.

    A retweet's row is deleted at once, for no row refers to it.
    """
    if tweet.original_id is not None:
        if Tweet.objects.filter(id=tweet.pk).delete()[0]:
            TweetMetricsDelta.objects.create(tweet_id=tweet.original_id, retweet_count=-1)
            show_counts_after_commit(tweet.original_id)
        return
    Tweet.objects.filter(id=tweet.pk).update(state=Tweet.State.DELETED, text="", removed_at=Now())
    publish(TweetDeleted(tweet_id=tweet.pk))


def _locked(tweet_id: int) -> Tweet:
    present = Tweet.objects.exclude(state=Tweet.State.DELETED).select_for_update()
    tweet = present.filter(id=tweet_id).first()
    if tweet is None:
        raise NotFound(NO_TWEET)
    return tweet


def publish_removed(tweets: list[Tweet]) -> None:
    """Publish that readers do not see these tweets of one author any more."""
    if not tweets:
        return
    bury(tweets)
    author_id = tweets[0].author_id
    removed: list[Event] = [TweetRemoved.of(ref) for ref in reads.refs_of(tweets)]
    if len(tweets) > FEW:
        removed = [ManyRemoved(author_id=author_id, tweet_ids=[tweet.pk for tweet in tweets])]
    publish(*removed, *marks_changed(tweets))


def bury(tweets: Iterable[Tweet]) -> None:
    """Leave tombstones, by which clients learn that the tweets are gone."""
    Tombstone.objects.bulk_create(
        [Tombstone(tweet_id=tweet.pk, author_id=tweet.author_id) for tweet in tweets],
        ignore_conflicts=True,
    )


def publish_visible(ref: Ref) -> None:
    """Publish that readers see a tweet from now on, within the running transaction."""
    marked = [MarksChanged(account_id=ref.author_id)] if ref.original_id else []
    publish(TweetPosted.of(ref), *marked)


def marks_changed(tweets: Iterable[Tweet]) -> list[MarksChanged]:
    """Return an event for each account whose retweets are among these, removed or restored."""
    retweeters = {tweet.author_id for tweet in tweets if tweet.original_id}
    return [MarksChanged(account_id=account_id) for account_id in retweeters]
