"""What accounts do to tweets.

Foreign keys do nothing on delete, as those of `tweets.posts.models`.
"""

from django.conf import settings
from django.db import models

from tweets.posts.models import Tweet
from twitter.base.data.ids import IdField

LIKE_ACCOUNT_REFERENCE = "tweets_like_account_id_183e7f5c_fk_accounts_account_id"
BOOKMARK_ACCOUNT_REFERENCE = "tweets_bookmark_account_id_83a7da98_fk_accounts_account_id"
LIKE_TWEET_REFERENCE = "tweets_like_tweet_id_432f589a_fk_tweets_tweet_id"


class Like(models.Model):
    """One account likes one tweet, never a retweet."""

    pk = models.CompositePrimaryKey("account_id", "tweet_id")
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    tweet = models.ForeignKey(Tweet, on_delete=models.DO_NOTHING, related_name="+")

    def __str__(self) -> str:
        return f"{self.account_id} likes {self.tweet_id}"


class Bookmark(models.Model):
    """One account keeps one tweet, never a retweet, for itself.

    It says what a page's skeleton needs, and refers to no row of the tweet's author. So a tweet's
    bookmarks go before the tweet does, and none is made later: `bookmarks.add` sees to it.
    """

    id = IdField()
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    tweet_id = models.BigIntegerField(db_index=True)
    author_id = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "tweet_id"), name="bookmark_once"),
        )
        indexes = (
            models.Index(
                fields=("account", "-id"),
                include=("tweet_id", "author_id"),
                name="bookmark_by_account",
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} keeps {self.tweet_id}"
