"""What accounts do to tweets.

Foreign keys do nothing on delete, as those of `tweets.posts.models`.
"""

from django.conf import settings
from django.db import models

from tweets.posts.models import Tweet

LIKE_ACCOUNT_REFERENCE = "tweets_like_account_id_183e7f5c_fk_accounts_account_id"
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
