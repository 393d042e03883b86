"""The tweet service: validate, one call, respond."""

import hashlib
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tweets import pipeline, services
from tweets.reader import reader
from tweets.serializers import (
    MAX_KEY_LENGTH,
    Liked,
    PostTweetSerializer,
    Retweeted,
    TweetDeleted,
    TweetIdSerializer,
    TweetResponse,
)
from twitter.base.http.errors import Invalid, NotFound
from twitter.base.http.problems import Kind
from twitter.base.http.requests import actor_id, body_or_query
from twitter.base.http.schema import delete_parameter, invalid, path_id, problems, refused

TWEETS, REACTIONS = "Tweets", "Likes and retweets"
NO_TWEET = refused(404, Kind.NOT_FOUND, "There is no such tweet.")
NO_ID = invalid("tweet_id", "This field is required.")

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A random text for each tweet. A repeat with the same key and body, within a day, "
    "gets the first answer, and posts nothing.",
)


def _json(body: bytes, *, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json")


def _tweet_answer(*, tweet_id: int, reader_id: int) -> bytes:
    """Return a tweet's envelope; raises NotFound when the reader may not see it."""
    who = reader(reader_id)
    page = pipeline.tweet(tweet_id, reader=who)
    if not page.refs:
        raise NotFound("There is no such tweet.")
    return pipeline.present(page, reader=who, one=True)


class CreateView(APIView):
    """`POST /tweet/create`."""

    @extend_schema(
        operation_id="create_tweet",
        tags=[TWEETS],
        parameters=[IDEMPOTENCY_KEY],
        request=PostTweetSerializer,
        responses={
            201: TweetResponse,
            **problems(
                invalid("in_reply_to_tweet_id", "There is no such field."),
                refused(
                    422,
                    Kind.IDEMPOTENCY_KEY_REUSED,
                    "This Idempotency-Key was used with another body.",
                ),
            ),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Post a tweet.

        It is in your own home timeline with the next read, and in your followers' within a second
        or so. Send an `Idempotency-Key`, so that you can repeat the request if its answer is lost.
        """
        serializer = PostTweetSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        text = serializer.validated_data["text"]
        author_id = actor_id(request)

        def answer() -> bytes:
            return services.post(author_id=author_id, text=text)

        key = request.headers.get("Idempotency-Key")
        if key is None:
            return _json(answer(), status=201)
        body = services.once(
            account_id=author_id,
            key=_valid_key(key),
            request_hash=hashlib.sha256(text.encode()).digest(),
            answer=answer,
        )
        return _json(body, status=201)


def _valid_key(key: str) -> str:
    if not (0 < len(key) <= MAX_KEY_LENGTH and all("!" <= sign <= "~" for sign in key)):
        raise Invalid(
            f"1 to {MAX_KEY_LENGTH} printable ASCII characters without blanks.",
            field="Idempotency-Key",
        )
    return key


class TweetView(APIView):
    """`GET /tweet/id/{id}`."""

    @extend_schema(
        operation_id="tweet_by_id",
        tags=[TWEETS],
        parameters=[path_id("tweet_id", "Which tweet.")],
        responses={200: TweetResponse, **problems(NO_TWEET)},
    )
    def get(self, request: Request, tweet_id: int) -> HttpResponse:
        """Read one tweet.

        Its author is in `includes.users`; the original of a retweet, in `includes.tweets`.
        """
        return _json(_tweet_answer(tweet_id=tweet_id, reader_id=actor_id(request)))


class DeleteView(APIView):
    """`DELETE /tweet/delete/{id}`."""

    @extend_schema(
        operation_id="delete_tweet",
        tags=[TWEETS],
        parameters=[path_id("tweet_id", "A tweet or a retweet of your own.")],
        request=None,
        responses={
            200: TweetDeleted,
            **problems(refused(403, Kind.FORBIDDEN, "This is not your tweet."), NO_TWEET),
        },
    )
    def delete(self, request: Request, tweet_id: int) -> Response:
        """Delete one of one's own tweets, or take a retweet back.

        It is gone for everybody at once, and the retweets of it. Clients that show it are told by
        `GET /timeline/update`.
        """
        services.delete(account_id=actor_id(request), tweet_id=tweet_id)
        return Response({"data": {"deleted": True}})


def _tweet_id(data: Any) -> int:
    serializer = TweetIdSerializer(data=data)
    serializer.is_valid(raise_exception=True)
    tweet_id: int = serializer.validated_data["tweet_id"]
    return tweet_id


class LikeView(APIView):
    """`POST` and `DELETE /tweet/like`."""

    @extend_schema(
        operation_id="like",
        tags=[REACTIONS],
        request=TweetIdSerializer,
        responses={200: Liked, **problems(NO_ID, NO_TWEET)},
    )
    def post(self, request: Request) -> Response:
        """Like a tweet.

        Liking a retweet likes its original. `like_count` follows within a second.
        """
        services.like(account_id=actor_id(request), tweet_id=_tweet_id(request.data))
        return Response({"data": {"liked": True}})

    @extend_schema(
        operation_id="unlike",
        tags=[REACTIONS],
        parameters=[delete_parameter("tweet_id", "Which tweet.")],
        request=None,
        responses={200: Liked, **problems(NO_ID, NO_TWEET)},
    )
    def delete(self, request: Request) -> Response:
        """Take a like back.

        Also of a tweet that was not liked, or is gone since.
        """
        services.unlike(account_id=actor_id(request), tweet_id=_tweet_id(body_or_query(request)))
        return Response({"data": {"liked": False}})


class RetweetView(APIView):
    """`POST` and `DELETE /tweet/retweet`."""

    @extend_schema(
        operation_id="retweet",
        tags=[REACTIONS],
        request=TweetIdSerializer,
        responses={200: TweetResponse, 201: TweetResponse, **problems(NO_ID, NO_TWEET)},
    )
    def post(self, request: Request) -> HttpResponse:
        """Retweet a tweet.

        201 with the retweet, a tweet of your own without text that your followers see; 200 when it
        was there already. Retweeting a retweet retweets its original.
        """
        account_id = actor_id(request)
        retweet_id, new = services.retweet(account_id=account_id, tweet_id=_tweet_id(request.data))
        body = _tweet_answer(tweet_id=retweet_id, reader_id=account_id)
        return _json(body, status=201 if new else 200)

    @extend_schema(
        operation_id="undo_retweet",
        tags=[REACTIONS],
        parameters=[delete_parameter("tweet_id", "The retweet, or its original.")],
        request=None,
        responses={200: Retweeted, **problems(NO_ID, NO_TWEET)},
    )
    def delete(self, request: Request) -> Response:
        """Take a retweet back.

        It is gone from your followers' home timelines at once.
        """
        services.undo_retweet(
            account_id=actor_id(request), tweet_id=_tweet_id(body_or_query(request))
        )
        return Response({"data": {"retweeted": False}})
