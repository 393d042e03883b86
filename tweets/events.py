"""Facts about tweets to which others may subscribe."""

from dataclasses import dataclass
from typing import ClassVar, Self

from tweets.entries import Ref
from twitter.outbox.events import Event


@dataclass(frozen=True, kw_only=True)
class _TweetEvent(Event):
    """Ids of a tweet and its author; of a retweet also of the original and its author, else 0."""

    tweet_id: int
    author_id: int
    original_id: int
    original_author_id: int = 0

    @classmethod
    def of(cls, ref: Ref) -> Self:
        """Return the event of a tweet."""
        return cls(**dict(zip(_REF, ref, strict=True)))

    @property
    def ref(self) -> Ref:
        """What refers to the tweet."""
        return Ref(*(getattr(self, name) for name in _REF))


_REF = ("tweet_id", "author_id", "original_id", "original_author_id")


@dataclass(frozen=True, kw_only=True)
class TweetPosted(_TweetEvent):
    """A tweet or a retweet is visible (again)."""

    name: ClassVar[str] = "tweets.tweet_posted"


@dataclass(frozen=True, kw_only=True)
class TweetRemoved(_TweetEvent):
    """A tweet or a retweet is not visible any more: deleted, hidden, or undone."""

    name: ClassVar[str] = "tweets.tweet_removed"


@dataclass(frozen=True, kw_only=True)
class TweetRestored(Event):
    """A moderator shows a hidden tweet again, which is posted again as well."""

    name: ClassVar[str] = "tweets.tweet_restored"
    tweet_id: int
    author_id: int


@dataclass(frozen=True, kw_only=True)
class ManyRemoved(Event):
    """A moderator removed many tweets of one author at once; told instead of TweetRemoved."""

    name: ClassVar[str] = "tweets.many_removed"
    author_id: int
    tweet_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class ManyRestored(Event):
    """A moderator restored many tweets of one author at once; told instead of TweetPosted."""

    name: ClassVar[str] = "tweets.many_restored"
    author_id: int
    tweet_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class TweetDeleted(Event):
    """A tweet was deleted for good; its retweets, likes and row are still to be purged."""

    name: ClassVar[str] = "tweets.tweet_deleted"
    tweet_id: int


@dataclass(frozen=True, kw_only=True)
class MetricsFolded(Event):
    """Changes of these tweets' counts were added to the totals."""

    name: ClassVar[str] = "tweets.metrics_folded"
    tweet_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class MarksChanged(Event):
    """An account's marks changed: it liked, retweeted or bookmarked, or took that back."""

    name: ClassVar[str] = "tweets.viewer_changed"
    account_id: int


@dataclass(frozen=True, kw_only=True)
class AuthorPurged(Event):
    """Nothing is left of what a deleted account wrote, liked or retweeted."""

    name: ClassVar[str] = "tweets.author_purged"
    author_id: int


@dataclass(frozen=True, kw_only=True)
class TweetsImported(Event):
    """Old tweets were stored; `author_ids` names the author of each."""

    name: ClassVar[str] = "tweets.tweets_imported"
    author_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class ImportEnded(Event):
    """An import ended, or was interrupted: homes do not hold what it brought."""

    name: ClassVar[str] = "tweets.import_ended"
