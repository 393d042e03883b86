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
    TweetEnvelope,
    TweetIdSerializer,
)
from twitter.lib.errors import Invalid, NotFound
from twitter.lib.requests import actor_id, body_or_query
from twitter.lib.schema import delete_parameter, problems

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A repeat with the same key and body, within a day, gets the first answer.",
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
        parameters=[IDEMPOTENCY_KEY],
        request=PostTweetSerializer,
        responses={201: TweetEnvelope, **problems(422)},
    )
    def post(self, request: Request) -> HttpResponse:
        """Post a tweet."""
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

    @extend_schema(responses={200: TweetEnvelope})
    def get(self, request: Request, tweet_id: int) -> HttpResponse:
        """Read one tweet."""
        return _json(_tweet_answer(tweet_id=tweet_id, reader_id=actor_id(request)))


class DeleteView(APIView):
    """`DELETE /tweet/delete/{id}`."""

    @extend_schema(request=None, responses={200: TweetDeleted, **problems(403)})
    def delete(self, request: Request, tweet_id: int) -> Response:
        """Delete one of one's own tweets, or take a retweet back."""
        services.delete(account_id=actor_id(request), tweet_id=tweet_id)
        return Response({"data": {"deleted": True}})


def _tweet_id(data: Any) -> int:
    serializer = TweetIdSerializer(data=data)
    serializer.is_valid(raise_exception=True)
    tweet_id: int = serializer.validated_data["tweet_id"]
    return tweet_id


class LikeView(APIView):
    """`POST` and `DELETE /tweet/like`."""

    @extend_schema(request=TweetIdSerializer, responses={200: Liked})
    def post(self, request: Request) -> Response:
        """Like a tweet. Liking a retweet likes its original."""
        services.like(account_id=actor_id(request), tweet_id=_tweet_id(request.data))
        return Response({"data": {"liked": True}})

    @extend_schema(parameters=[delete_parameter("tweet_id")], request=None, responses={200: Liked})
    def delete(self, request: Request) -> Response:
        """Take a like back. `tweet_id` may stand in a JSON body instead."""
        services.unlike(account_id=actor_id(request), tweet_id=_tweet_id(body_or_query(request)))
        return Response({"data": {"liked": False}})


class RetweetView(APIView):
    """`POST` and `DELETE /tweet/retweet`."""

    @extend_schema(
        request=TweetIdSerializer,
        responses={200: TweetEnvelope, 201: TweetEnvelope},
    )
    def post(self, request: Request) -> HttpResponse:
        """Retweet a tweet: 201 with the retweet, or 200 when it was there already."""
        account_id = actor_id(request)
        retweet_id, new = services.retweet(account_id=account_id, tweet_id=_tweet_id(request.data))
        body = _tweet_answer(tweet_id=retweet_id, reader_id=account_id)
        return _json(body, status=201 if new else 200)

    @extend_schema(
        parameters=[delete_parameter("tweet_id")],
        request=None,
        responses={200: Retweeted},
    )
    def delete(self, request: Request) -> Response:
        """Take a retweet back. `tweet_id` may stand in a JSON body instead."""
        services.undo_retweet(
            account_id=actor_id(request), tweet_id=_tweet_id(body_or_query(request))
        )
        return Response({"data": {"retweeted": False}})
