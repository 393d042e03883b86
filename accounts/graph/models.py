"""Who follows whom, and who is so popular that followers merge the tweets."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from twitter.base.data.ids import IdField, time_of

# The foreign key's name, as Django gave it.
FOLLOWED_REFERENCE = "accounts_follow_followed_id_0525a00e_fk_accounts_account_id"


class Follow(models.Model):
    """`follower` gets the tweets of `followed`. Both pages and the fan-out read an index only."""

    id = IdField()
    follower = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    followed = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )

    class Meta:
        constraints = (
            # In this order, so that the fan-out walks an author's followers by keyset.
            models.UniqueConstraint(fields=("followed", "follower"), name="accounts_follow_unique"),
            models.CheckConstraint(
                condition=~Q(follower=F("followed")), name="accounts_follow_not_self"
            ),
        )
        indexes = (
            models.Index(
                fields=("followed", "-id"), name="accounts_followers", include=("follower",)
            ),
            models.Index(
                fields=("follower", "-id"), name="accounts_following", include=("followed",)
            ),
        )

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"

    @property
    def created_at(self) -> datetime:
        """When it began."""
        return time_of(self.pk)


class PopularAuthor(models.Model):
    """An author with so many followers that the tweets are merged when a follower reads.

    A popular author stays popular. Until all followers know, the tweets are fanned out as well; a
    reader who gets a tweet in both ways sees it once.
    """

    account = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, primary_key=True, related_name="+"
    )
    followers_know = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"popular author {self.account_id}"
