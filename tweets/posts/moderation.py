"""What moderators do to tweets, each with its entry in the audit log."""

from collections.abc import Callable, Collection

from django.db import transaction
from django.db.models.functions import Now

from tweets.events import ManyRestored, TweetRestored
from tweets.models import Tombstone, Tweet
from tweets.posts import reads
from tweets.posts.services import (
    FEW,
    delete_removed,
    marks_changed,
    publish_removed,
    publish_visible,
)
from twitter.base.admin import audit
from twitter.outbox.events import publish


def moderate_delete(*, tweet_ids: Collection[int], by_id: int, reason: str) -> set[int]:
    """Delete tweets of any author, as a moderator; returns the ids that belong to no tweet."""
    return _moderate("Deleted", _delete_many, tweet_ids=tweet_ids, by_id=by_id, reason=reason)


def hide(*, tweet_ids: Collection[int], by_id: int, reason: str) -> set[int]:
    """Hide tweets from everybody; those that are hidden stay so.

    Returns the ids that belong to no tweet.
    """
    return _moderate("Hidden", _hide_many, tweet_ids=tweet_ids, by_id=by_id, reason=reason)


def restore(*, tweet_ids: Collection[int], by_id: int, reason: str) -> set[int]:
    """Show hidden tweets again; those that are visible stay so.

    Returns the ids that belong to no tweet.
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
    publish_removed([tweet for tweet in tweets if tweet.state == Tweet.State.VISIBLE])
    for tweet in tweets:
        delete_removed(tweet)
    return tweets


def _hide_many(tweets: list[Tweet]) -> list[Tweet]:
    visible = [tweet for tweet in tweets if tweet.state == Tweet.State.VISIBLE]
    ids = [tweet.pk for tweet in visible]
    Tweet.objects.filter(id__in=ids).update(state=Tweet.State.HIDDEN, removed_at=Now())
    publish_removed(visible)
    return visible


def _restore_many(tweets: list[Tweet]) -> list[Tweet]:
    hidden = [tweet for tweet in tweets if tweet.state == Tweet.State.HIDDEN]
    ids = [tweet.pk for tweet in hidden]
    Tweet.objects.filter(id__in=ids).update(state=Tweet.State.VISIBLE, removed_at=None)
    Tombstone.objects.filter(tweet_id__in=ids).delete()
    if len(hidden) > FEW:
        restored = ManyRestored(author_id=hidden[0].author_id, tweet_ids=ids)
        publish(restored, *marks_changed(hidden))
    else:
        for ref in reads.refs_of(hidden):
            publish_visible(ref)
            publish(TweetRestored(tweet_id=ref.id, author_id=ref.author_id))
    return hidden
