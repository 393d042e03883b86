"""Tweets: validate, one call, respond."""

import hashlib
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tweets import pipeline
from tweets.answers import TweetResponse
from tweets.posts import services
from tweets.posts.opening import Author, author_of
from tweets.posts.serializers import MAX_KEY_LENGTH, PostTweetSerializer, TweetDeleted
from tweets.reader import reader
from twitter.base.http.conditional import ConditionalView
from twitter.base.http.errors import Invalid, NotFound
from twitter.base.http.parsers import BoundedJSONParser
from twitter.base.http.problems import Kind
from twitter.base.http.requests import actor_id
from twitter.base.http.schema import invalid, path_id, problems, refused
from twitter.base.observe import logging

TWEETS = "Tweets"


NO_TWEET = refused(404, Kind.NOT_FOUND, "There is no such tweet.")
KEY = "Idempotency-Key"
IDEMPOTENCY_KEY = OpenApiParameter(
    KEY,
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A random text for each tweet. A repeat with the same key and body, within a day, "
    "gets the first answer, and posts nothing.",
)


def json_answer(body: bytes, *, status: int = 200) -> HttpResponse:
    """Return a response with this JSON."""
    return HttpResponse(body, status=status, content_type="application/json")


def tweet_answer(*, tweet_id: int, reader_id: int) -> bytes:
    """Return a tweet's envelope; raises NotFound when the reader may not see it."""
    who = reader(reader_id)
    page = pipeline.tweet(tweet_id, reader=who)
    if not page.refs:
        raise NotFound("There is no such tweet.")
    return pipeline.present(page, reader=who, one=True)


_PARSER = BoundedJSONParser()


class CreateView(APIView):
    """`POST /tweet/create`. A plain view of Django's where `opening` knows who posts.

    DRF then only makes answers of errors. Where something is out of the ordinary before anything is
    read of the body, DRF has it all. Either way `_post` does the work.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Post, with or without DRF."""
        author = author_of(request)
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if author is None or not length or request.content_type != _PARSER.media_type:
            return super().dispatch(request, *args, **kwargs)
        logging.note(account_id=author.id)
        try:
            answer = _post(_PARSER.parse(request), author=author, request=request)
        except Exception as error:  # noqa: BLE001 - DRF raises it again if it is a bug
            return self._refusal(request, error)
        answer["Allow"] = "POST, OPTIONS"
        return answer

    def _refusal(self, request: HttpRequest, error: Exception) -> HttpResponseBase:
        """Return what DRF's dispatch makes of an error."""
        self.request = self.initialize_request(request)
        self.headers = self.default_response_headers
        return self.finalize_response(self.request, self.handle_exception(error))

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
        return _post(request.data, author=Author(actor_id(request), card=b""), request=request)


def _post(data: Any, *, author: Author, request: HttpRequest | Request) -> HttpResponse:
    text = PostTweetSerializer.text_in(data)
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    answer = partial(services.post, author_id=author.id, text=text, card=author.card)
    if key is None:
        return json_answer(answer(), status=201)
    body = services.once(
        account_id=author.id,
        key=_valid_key(key),
        request_hash=hashlib.sha256(text.text.encode()).digest(),
        answer=answer,
    )
    return json_answer(body, status=201)


def _valid_key(key: str) -> str:
    if not (0 < len(key) <= MAX_KEY_LENGTH and all("!" <= sign <= "~" for sign in key)):
        raise Invalid(
            f"1 to {MAX_KEY_LENGTH} printable ASCII characters without blanks.",
            field=KEY,
        )
    return key


class TweetView(ConditionalView):
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
        return json_answer(tweet_answer(tweet_id=tweet_id, reader_id=actor_id(request)))


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

        It is gone for everybody at once, and so are its retweets. Clients that show it are told by
        `GET /timeline/update`.
        """
        services.delete(account_id=actor_id(request), tweet_id=tweet_id)
        return Response({"data": {"deleted": True}})
