"""The admin of tweets."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import facade as accounts
from tweets.models import Tweet
from tweets.posts import moderation, services
from twitter.base.admin.reasons import ActOnAll, ReadOnlyAdmin, moderator_id, reason_action


def _all(change: Callable[..., set[int]]) -> ActOnAll:
    """Return a function that changes all selected tweets by one call of `change`.

    So many tweets of one author cost no more than a few.
    """

    def act(request: HttpRequest, tweets: Sequence[Tweet], reason: str) -> dict[Tweet, str]:
        tweet_ids = [tweet.pk for tweet in tweets]
        missing = change(tweet_ids=tweet_ids, by_id=moderator_id(request), reason=reason)
        return {tweet: services.NO_TWEET for tweet in tweets if tweet.pk in missing}

    return act


class StateFilter(admin.SimpleListFilter):
    """Only the hidden ones, by an index of their own."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("hidden", "Hidden")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=Tweet.State.HIDDEN) if self.value() else queryset


@admin.register(Tweet)
class TweetAdmin(ReadOnlyAdmin):
    """Search, hide, restore, delete."""

    list_display = ("id", "author", "shown_text", "original_id", "state", "created_at")
    list_select_related = ("author",)
    list_filter = (StateFilter,)
    fields = ("id", "author", "text", "original_id", "state", "removed_at", "created_at")
    search_fields = ("text",)
    search_help_text = 'Whole words, "a phrase", -without; or @username for all of an author.'
    actions = (
        reason_action(
            name="hide",
            description="Hide…",
            permissions=["moderate"],
            act=_all(moderation.hide),
        ),
        reason_action(
            name="restore",
            description="Restore…",
            permissions=["moderate"],
            act=_all(moderation.restore),
        ),
        reason_action(
            name="delete_tweets",
            description="Delete…",
            permissions=["erase"],
            act=_all(moderation.moderate_delete),
        ),
    )

    @admin.display(description="text")
    def shown_text(self, tweet: Tweet) -> str:
        """The beginning of the text."""
        return tweet.text[:60]

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        """Tell whether tweets may be hidden and restored."""
        return request.user.has_perm("tweets.change_tweet")

    def has_erase_permission(self, request: HttpRequest) -> bool:
        """Tell whether tweets may be deleted for good."""
        return request.user.has_perm("tweets.delete_tweet")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by the index over words, or by the index by author."""
        term = search_term.strip()
        if term.startswith("@"):
            return queryset.filter(author_id=accounts.resolve_username(term[1:])), False
        if term:
            words = SearchQuery(term, config="simple", search_type="websearch")
            vector = SearchVector("text", config="simple")
            return queryset.annotate(words=vector).filter(words=words), False
        return queryset, False
