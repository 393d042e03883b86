"""The plain Django way, as one would write it with care: no N+1 queries, nothing cached.

Entities of texts, which the service sends too, are left out.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Account, AccountCounters, Follow
from accounts.sessions.tokens import InvalidToken, verify_access_token
from tests.bench.baselines.bare import healthz
from tweets.models import Like, Tweet, TweetMetrics


class BearerToken(BaseAuthentication):
    """The same token as the service's; the account is looked up."""

    def authenticate(self, request: Request) -> tuple[Account, None] | None:
        """Return the account; raises AuthenticationFailed."""
        _, _, token = get_authorization_header(request).partition(b" ")
        try:
            claims = verify_access_token(token.decode())
            account = Account.objects.get(pk=claims.account_id)
        except (InvalidToken, Account.DoesNotExist) as error:
            raise AuthenticationFailed from error
        if not account.is_active or account.token_generation != claims.generation:
            raise AuthenticationFailed
        return account, None


class CountersSerializer(serializers.ModelSerializer[AccountCounters]):
    """An account's counts."""

    class Meta:
        model = AccountCounters
        fields = ("followers_count", "following_count", "tweet_count")


class UserSerializer(serializers.ModelSerializer[Account]):
    """An author."""

    id = serializers.CharField()
    public_metrics = CountersSerializer(source="counters")  # the view has put them there

    class Meta:
        model = Account
        fields: ClassVar[Any] = ("id", "username", "name", "bio", "created_at", "public_metrics")


class MetricsSerializer(serializers.ModelSerializer[TweetMetrics]):
    """A tweet's counts."""

    class Meta:
        model = TweetMetrics
        fields = ("like_count", "retweet_count")


class TweetSerializer(serializers.ModelSerializer[Tweet]):
    """A tweet with its author, its counts and its original inside."""

    id = serializers.CharField()
    author = UserSerializer()
    public_metrics = MetricsSerializer(source="metrics", default=None)
    liked = serializers.SerializerMethodField()

    class Meta:
        model = Tweet
        fields: ClassVar[Any] = ("id", "text", "author", "created_at", "public_metrics", "liked")

    def get_liked(self, tweet: Tweet) -> bool:
        """Whether the reader likes it, which was fetched for the whole page."""
        return tweet.pk in self.context["liked"]


class HomeTweetSerializer(TweetSerializer):
    """A tweet or a retweet."""

    original = TweetSerializer(allow_null=True)

    class Meta(TweetSerializer.Meta):
        fields: ClassVar[Any] = (*TweetSerializer.Meta.fields, "original")


class HomeView(APIView):
    """The newest 20 tweets of those whom the reader follows."""

    authentication_classes = (BearerToken,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        """Read the home timeline."""
        reader_id: int = request.user.pk  # type: ignore[assignment]  # None only when anonymous
        tweets = list(_newest(reader_id))
        shown = [each for tweet in tweets for each in (tweet, tweet.original) if each]
        counters = AccountCounters.objects.in_bulk({tweet.author_id for tweet in shown})
        for tweet in shown:
            tweet.author.counters = counters.get(tweet.author_id)  # type: ignore[attr-defined]
        likes = Like.objects.filter(
            account_id=reader_id, tweet_id__in=[tweet.pk for tweet in shown]
        )
        context = {"liked": set(likes.values_list("tweet_id", flat=True))}
        return Response({"data": HomeTweetSerializer(tweets, many=True, context=context).data})


def _newest(reader_id: int) -> QuerySet[Tweet]:
    followees = Follow.objects.filter(follower_id=reader_id).values_list("followed_id", flat=True)
    authors = [*followees, reader_id]
    return (
        Tweet.objects.filter(
            author_id__in=authors,
            state=Tweet.State.VISIBLE,
            author__suspended_at=None,
            author__deleted_at=None,
        )
        .select_related("author", "metrics", "original__author", "original__metrics")
        .order_by("-id")[:20]
    )


class PostSerializer(serializers.Serializer[Any]):
    """A new tweet; its characters are counted, not weighed."""

    text = serializers.CharField(max_length=280)


class PostView(APIView):
    """Storing a tweet, and nothing that follows from it: no count, no outbox, no fan-out.

    No task delivers it, so it is stored hidden: homes must be right in the end.
    """

    authentication_classes = (BearerToken,)
    permission_classes = (IsAuthenticated,)

    def post(self, request: Request) -> Response:
        """Store a tweet."""
        given = PostSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        author: Any = request.user
        hidden = {"state": Tweet.State.HIDDEN, "removed_at": datetime.now(UTC)}
        tweet = Tweet.objects.create(author_id=author.pk, **hidden, **given.validated_data)
        tweet.author = author
        author.counters = AccountCounters.objects.get(account_id=author.pk)
        context: dict[str, Any] = {"liked": set()}
        return Response({"data": TweetSerializer(tweet, context=context).data}, status=201)


urlpatterns = [
    path("home", HomeView.as_view()),
    path("post", PostView.as_view()),
    path("healthz", healthz),
]
