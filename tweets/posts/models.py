"""Tweets, what is counted of them, and what is kept of them for a while.

Foreign keys do nothing on delete: rows go in bounded steps (`tweets.purging`), and the constraint
in the database refuses to let a row go while another still points at it.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from twitter.base.data import ids

# The names that Django gave to foreign keys. From these, services know which row is gone by now.
FIRST_ANSWER_ACCOUNT_REFERENCE = "tweets_firstanswer_account_id_eb93d6c1_fk_accounts_account_id"
METRICS_DELTA_TWEET_REFERENCE = "tweets_tweetmetricsdelta_tweet_id_a3a71fe0_fk_tweets_tweet_id"
TWEET_AUTHOR_REFERENCE = "tweets_tweet_author_id_be2571cc_fk_accounts_account_id"
TWEET_ORIGINAL_REFERENCE = "tweets_tweet_original_id_b27f4e44_fk_tweets_tweet_id"


class Tweet(models.Model):
    """What somebody wrote, or a retweet: then `original` is set and `text` is empty."""

    class State(models.IntegerChoices):
        """Only a visible tweet exists for readers."""

        VISIBLE = 0
        HIDDEN = 1, "hidden by a moderator"
        DELETED = 2, "deleted, to be purged"

    id = ids.IdField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,  # The index by author and id serves.
    )
    text = models.TextField(blank=True)
    original = models.ForeignKey(
        "self", null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    state = models.SmallIntegerField(choices=State, default=State.VISIBLE)
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = (
            # Holds all that a page's skeleton needs, so that the table is not read for it.
            models.Index(
                fields=("author", "-id"), include=("original", "state"), name="tweet_by_author"
            ),
            models.Index(fields=("-id",), name="tweet_hidden", condition=Q(state=1)),
            GinIndex(SearchVector("text", config="simple"), name="tweet_text_search"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("original", "author"),
                name="tweet_one_retweet",
                condition=Q(original__isnull=False),
            ),
            models.CheckConstraint(
                name="tweet_text_or_original",
                condition=Q(original__isnull=True) | Q(text=""),
            ),
            models.CheckConstraint(
                name="tweet_not_its_own_original", condition=~Q(original=F("id"))
            ),
            models.CheckConstraint(
                name="tweet_removed_at", condition=Q(state=0) ^ Q(removed_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"tweet {self.pk}"

    @property
    def created_at(self) -> datetime:
        """When it was posted, which the id tells."""
        return ids.time_of(self.pk)


class TweetMetrics(models.Model):
    """Counts of a tweet, without the changes that `TweetMetricsDelta` still holds."""

    tweet = models.OneToOneField(
        Tweet, primary_key=True, on_delete=models.DO_NOTHING, related_name="metrics"
    )
    like_count = models.IntegerField(default=0)
    retweet_count = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"metrics of {self.tweet_id}"


class TweetMetricsDelta(models.Model):
    """One change of a tweet's counts, not yet in `TweetMetrics`."""

    tweet = models.ForeignKey(Tweet, on_delete=models.DO_NOTHING, related_name="+")
    like_count = models.SmallIntegerField(db_default=0)
    retweet_count = models.SmallIntegerField(db_default=0)

    def __str__(self) -> str:
        return f"change of {self.tweet_id}"


class Tombstone(models.Model):
    """A removed tweet, remembered for a while so that clients take it off their screens."""

    tweet_id = models.BigIntegerField(primary_key=True)
    author_id = models.BigIntegerField()
    removed_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = (
            models.Index(fields=("author_id", "-removed_at"), name="tombstone_by_author"),
            models.Index(fields=("removed_at",), name="tombstone_by_age"),
        )

    def __str__(self) -> str:
        return f"tombstone of {self.tweet_id}"


class FirstAnswer(models.Model):
    """The answer to a POST that carried an Idempotency-Key, for its repeats."""

    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    key = models.CharField(max_length=255)
    request_hash = models.BinaryField(max_length=32)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "key"), name="first_answer_once"),
        )
        indexes = (models.Index(fields=("created_at",), name="first_answer_by_age"),)

    def __str__(self) -> str:
        return f"first answer {self.pk}"


class ImportedFile(models.Model):
    """How far `import_tweets` came with a file, so that it goes on there and not twice."""

    digest = models.CharField(primary_key=True, max_length=64, help_text="SHA-256 of the file.")
    lines_done = models.PositiveBigIntegerField(default=0)
    first_line_at = models.DateTimeField(help_text="The dates are spread from here on.")

    def __str__(self) -> str:
        return f"{self.lines_done} lines of {self.digest}"
