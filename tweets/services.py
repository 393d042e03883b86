"""Writing tweets: one transaction each, with the event that tells of it."""

from collections.abc import Callable, Collection, Iterable
from functools import partial

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts import facade as accounts
from tweets import cache, pipeline, rendering, selectors
from tweets.entries import Ref
from tweets.events import (
    ManyRemoved,
    ManyRestored,
    MarksChanged,
    MetricsFolded,
    TweetDeleted,
    TweetPosted,
    TweetRemoved,
    TweetRestored,
)
from tweets.models import (
    FIRST_ANSWER_ACCOUNT_REFERENCE,
    LIKE_ACCOUNT_REFERENCE,
    LIKE_TWEET_REFERENCE,
    METRICS_DELTA_TWEET_REFERENCE,
    TWEET_AUTHOR_REFERENCE,
    TWEET_ORIGINAL_REFERENCE,
    FirstAnswer,
    Tombstone,
    Tweet,
    TweetMetrics,
    TweetMetricsDelta,
)
from tweets.reader import reader
from twitter.base.admin import audit
from twitter.base.data import redis
from twitter.base.data.counters import fold
from twitter.base.http.errors import (
    Forbidden,
    NotFound,
    Unauthenticated,
    Unprocessable,
    unless_purged,
)
from twitter.base.http.renderers import envelope
from twitter.base.observe import tracing
from twitter.outbox.events import Event, publish

ACCOUNT_GONE = "The account is gone."
NO_TWEET = "There is no such tweet."
# A moderator who removes or restores more tweets of one author at once has the followers' homes
# built again: to change each home for each tweet is the product of both.
FEW = 10

# A post with an Idempotency-Key commits with its first answer.
_POST = {
    name: Unauthenticated(ACCOUNT_GONE)
    for name in (TWEET_AUTHOR_REFERENCE, FIRST_ANSWER_ACCOUNT_REFERENCE)
}
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


def post(*, author_id: int, text: str) -> bytes:
    """Post a tweet whose text `text.parse` accepted. Returns the answer: the tweet's envelope.

    Raises Unauthenticated when the account was suspended or deleted a moment ago.
    """
    with (
        tracing.span("post"),
        unless_purged(_POST),
        transaction.atomic(),
    ):
        tweet = Tweet(id=_insert(author_id=author_id, text=text), author_id=author_id, text=text)
        _visible(Ref(tweet.pk, author_id))
        users = accounts.cards({author_id})
        if not users:
            raise Unauthenticated(ACCOUNT_GONE)
    return envelope(
        {
            "data": rendering.render(tweet).body,
            "includes": b'{"users":[%b],"tweets":[]}' % users[author_id],
            "viewer": rendering.viewer(liked=(), retweeted=()),
        }
    )


def _insert(*, author_id: int, text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tweets_tweet (author_id, text, state)"
            f" VALUES (%s, %s, {Tweet.State.VISIBLE}) RETURNING id",
            [author_id, text],
        )
        (tweet_id,) = cursor.fetchone()
    return int(tweet_id)


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


def like(*, account_id: int, tweet_id: int) -> None:
    """Like a tweet, or a retweet's original; liking again changes nothing. Raises NotFound."""
    _change_like(
        """WITH changed AS (
            INSERT INTO tweets_like (account_id, tweet_id) VALUES (%s, %s)
            ON CONFLICT DO NOTHING RETURNING tweet_id)
        INSERT INTO tweets_tweetmetricsdelta (tweet_id, like_count, retweet_count)
        SELECT tweet_id, 1, 0 FROM changed""",
        account_id=account_id,
        tweet_id=tweet_id,
    )


def unlike(*, account_id: int, tweet_id: int) -> None:
    """Take a like back; doing so again changes nothing. Raises NotFound."""
    _change_like(
        """WITH changed AS (
            DELETE FROM tweets_like WHERE account_id = %s AND tweet_id = %s RETURNING tweet_id)
        INSERT INTO tweets_tweetmetricsdelta (tweet_id, like_count, retweet_count)
        SELECT tweet_id, -1, 0 FROM changed""",
        account_id=account_id,
        tweet_id=tweet_id,
    )


def _change_like(statement: str, *, account_id: int, tweet_id: int) -> None:
    original_id, _ = _original_of(tweet_id, reader_id=account_id)
    with unless_purged(_LIKE), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [account_id, original_id])
        if cursor.rowcount:
            publish(MarksChanged(account_id=account_id))
            _show_counts_after_commit(original_id)


def _show_counts_after_commit(tweet_id: int) -> None:
    """Have a tweet's cached counts replaced after the running transaction.

    Of a tweet that is liked all the time only the first changes of a second are shown in this way.
    All are shown by the folding: each change is folded once, after it was committed, and what was
    folded is rendered after the folding's commit, hence from a snapshot that holds the change.
    """
    transaction.on_commit(partial(_show_counts, tweet_id))


@redis.without_redis(lambda: None)
def _show_counts(tweet_id: int) -> None:
    if cache.may_refresh(tweet_id):
        refresh([tweet_id])


def refresh(ids: Collection[int]) -> None:
    """Replace what is cached of tweets after they changed. Raises redis.RedisError."""
    found = selectors.fresh(ids)
    cache.replace(found.tweets, read_at=found.read_at)


def fold_metrics() -> None:
    """Add pending changes of counts to the totals."""
    with transaction.atomic():
        folded = fold(
            totals=TweetMetrics,
            deltas=TweetMetricsDelta,
            key="tweet_id",
            fields=("like_count", "retweet_count"),
        )
        if folded:
            publish(MetricsFolded(tweet_ids=folded))


def retweet(*, account_id: int, tweet_id: int) -> tuple[int, bool]:
    """Retweet a tweet, or a retweet's original, once. Raises NotFound.

    Returns the id of the retweet, and whether it is new.
    """
    original_id, original_author_id = _original_of(tweet_id, reader_id=account_id)
    with unless_purged(_RETWEET), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                f"""WITH retweet AS (
                    INSERT INTO tweets_tweet (author_id, original_id, text, state)
                    VALUES (%s, %s, '', {Tweet.State.VISIBLE})
                    ON CONFLICT (original_id, author_id) WHERE original_id IS NOT NULL DO NOTHING
                    RETURNING id, original_id),
                counted AS (
                    INSERT INTO tweets_tweetmetricsdelta (tweet_id, like_count, retweet_count)
                    SELECT original_id, 0, 1 FROM retweet)
                SELECT id FROM retweet""",
                [account_id, original_id],
            )
            row = cursor.fetchone()
        if row is None:
            existing = Tweet.objects.filter(author_id=account_id, original_id=original_id)
            return existing.values_list("id", flat=True).get(), False
        retweet_id: int = row[0]
        _visible(Ref(retweet_id, account_id, original_id, original_author_id))
        _show_counts_after_commit(original_id)
    return retweet_id, True


def undo_retweet(*, account_id: int, tweet_id: int) -> None:
    """Take a retweet back; doing so again changes nothing. Raises NotFound."""
    original_id, _ = _original_of(tweet_id, reader_id=account_id)
    with transaction.atomic():
        own = Tweet.objects.filter(author_id=account_id, original_id=original_id)
        for undone in own.select_for_update():
            delete_locked(undone)


def _original_of(tweet_id: int, *, reader_id: int) -> tuple[int, int]:
    """Return the ids of a tweet, or of a retweet's original, and of its author; else NotFound."""
    page = pipeline.tweet(tweet_id, reader=reader(reader_id))
    if not page.refs:
        raise NotFound(NO_TWEET)
    [ref] = page.refs
    return (ref.original_id, ref.original_author_id) if ref.original_id else ref[:2]


def _refs_of(tweets: Collection[Tweet]) -> list[Ref]:
    """Return what refers to these tweets; one statement if there are retweets among them."""
    authors = selectors.authors_of({tweet.original_id for tweet in tweets if tweet.original_id})
    return [
        Ref(tweet.pk, tweet.author_id, tweet.original_id, authors[tweet.original_id])
        if tweet.original_id
        else Ref(tweet.pk, tweet.author_id)
        for tweet in tweets
    ]


def delete(*, account_id: int, tweet_id: int) -> None:
    """Delete one's own tweet or retweet. Raises NotFound, or Forbidden when it is another's."""
    with transaction.atomic():
        tweet = _locked(tweet_id)
        if tweet.author_id != account_id:
            if selectors.is_visible(tweet_id):
                raise Forbidden("This is not your tweet.")
            raise NotFound(NO_TWEET)
        delete_locked(tweet)


def delete_locked(tweet: Tweet) -> None:
    """Delete a locked tweet or retweet, within the running transaction.

    A tweet's text goes at once; its row stays, unseen, until its retweets and likes were
    purged in bounded steps.
    """
    if tweet.state == Tweet.State.VISIBLE:
        _removed([tweet])
    _delete_removed(tweet)


def _delete_removed(tweet: Tweet) -> None:
    """Delete what readers do not see any more. Nothing refers to a retweet's row: it goes."""
    if tweet.original_id is not None:
        if Tweet.objects.filter(id=tweet.pk).delete()[0]:
            TweetMetricsDelta.objects.create(tweet_id=tweet.original_id, retweet_count=-1)
            _show_counts_after_commit(tweet.original_id)
        return
    Tweet.objects.filter(id=tweet.pk).update(state=Tweet.State.DELETED, text="", removed_at=Now())
    publish(TweetDeleted(tweet_id=tweet.pk))


def moderate_delete(*, tweet_ids: Collection[int], by_id: int, reason: str) -> set[int]:
    """Delete anybody's tweets, as a moderator; returns the ids of those that are not there."""
    return _moderate("Deleted", _delete_many, tweet_ids=tweet_ids, by_id=by_id, reason=reason)


def hide(*, tweet_ids: Collection[int], by_id: int, reason: str) -> set[int]:
    """Hide tweets from everybody; those that are hidden stay so.

    Returns the ids of those that are not there.
    """
    return _moderate("Hidden", _hide_many, tweet_ids=tweet_ids, by_id=by_id, reason=reason)


def restore(*, tweet_ids: Collection[int], by_id: int, reason: str) -> set[int]:
    """Show hidden tweets again; those that are visible stay so.

    Returns the ids of those that are not there.
    """
    return _moderate("Restored", _restore_many, tweet_ids=tweet_ids, by_id=by_id, reason=reason)


def _moderate(
    action: str,
    change: Callable[[list[Tweet]], list[Tweet]],
    *,
    tweet_ids: Collection[int],
    by_id: int,
    reason: str,
) -> set[int]:
    """Change tweets, each author's in one transaction, and note it in the audit log.

    `change` gets locked tweets of one author, and returns those that it changed.
    """
    author_of = Tweet.objects.filter(id__in=tweet_ids).values_list("author_id", flat=True)
    there = set()
    for author_id in sorted(set(author_of)):
        with transaction.atomic():
            present = Tweet.objects.exclude(state=Tweet.State.DELETED).filter(id__in=tweet_ids)
            own = present.filter(author_id=author_id).order_by("id").select_for_update()
            tweets = list(own)
            for tweet in change(tweets):
                audit.record(by_id=by_id, target=tweet, action=action, reason=reason)
        there |= {tweet.pk for tweet in tweets}
    return set(tweet_ids) - there


def _delete_many(tweets: list[Tweet]) -> list[Tweet]:
    _removed([tweet for tweet in tweets if tweet.state == Tweet.State.VISIBLE])
    for tweet in tweets:
        _delete_removed(tweet)
    return tweets


def _hide_many(tweets: list[Tweet]) -> list[Tweet]:
    visible = [tweet for tweet in tweets if tweet.state == Tweet.State.VISIBLE]
    ids = [tweet.pk for tweet in visible]
    Tweet.objects.filter(id__in=ids).update(state=Tweet.State.HIDDEN, removed_at=Now())
    _removed(visible)
    return visible


def _restore_many(tweets: list[Tweet]) -> list[Tweet]:
    hidden = [tweet for tweet in tweets if tweet.state == Tweet.State.HIDDEN]
    ids = [tweet.pk for tweet in hidden]
    Tweet.objects.filter(id__in=ids).update(state=Tweet.State.VISIBLE, removed_at=None)
    Tombstone.objects.filter(tweet_id__in=ids).delete()
    if len(hidden) > FEW:
        restored = ManyRestored(author_id=hidden[0].author_id, tweet_ids=ids)
        publish(restored, *_of_marks(hidden))
    else:
        for ref in _refs_of(hidden):
            _visible(ref)
            publish(TweetRestored(tweet_id=ref.id, author_id=ref.author_id))
    return hidden


def _locked(tweet_id: int) -> Tweet:
    present = Tweet.objects.exclude(state=Tweet.State.DELETED).select_for_update()
    tweet = present.filter(id=tweet_id).first()
    if tweet is None:
        raise NotFound(NO_TWEET)
    return tweet


def _removed(tweets: list[Tweet]) -> None:
    """Tell of tweets of one author that readers do not see any more."""
    if not tweets:
        return
    bury(tweets)
    author_id = tweets[0].author_id
    removed: list[Event] = [TweetRemoved.of(ref) for ref in _refs_of(tweets)]
    if len(tweets) > FEW:
        removed = [ManyRemoved(author_id=author_id, tweet_ids=[tweet.pk for tweet in tweets])]
    publish(*removed, *_of_marks(tweets))


def bury(tweets: Iterable[Tweet]) -> None:
    """Leave tombstones, by which clients learn that the tweets are gone."""
    Tombstone.objects.bulk_create(
        [Tombstone(tweet_id=tweet.pk, author_id=tweet.author_id) for tweet in tweets],
        ignore_conflicts=True,
    )


def _visible(ref: Ref) -> None:
    marked = [MarksChanged(account_id=ref.author_id)] if ref.original_id else []
    publish(TweetPosted.of(ref), *marked)


def _of_marks(tweets: Iterable[Tweet]) -> list[MarksChanged]:
    """Return that those who retweeted did so not any more, or again."""
    retweeters = {tweet.author_id for tweet in tweets if tweet.original_id}
    return [MarksChanged(account_id=account_id) for account_id in retweeters]
