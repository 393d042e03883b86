"""Likes, retweets, bookmarks: wire shapes, and views that validate, make one call, respond."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tweets import pipeline
from tweets.answers import PAGE_EXAMPLE, PAGE_FIELDS, VIEWER_EXAMPLE, TweetResponse
from tweets.posts.api import NO_TWEET, json_answer, tweet_answer
from tweets.posts.serializers import TWEET_EXAMPLE
from tweets.reactions import bookmarks, services
from tweets.reader import reader
from twitter.base.data.ids import WireIdField
from twitter.base.http.conditional import ConditionalView
from twitter.base.http.fields import InputSerializer
from twitter.base.http.pagination import CursorMeta, CursorQuery, cursor_page
from twitter.base.http.renderers import to_json
from twitter.base.http.requests import actor_id, body_or_query, query
from twitter.base.http.schema import delete_parameter, invalid, problems
from twitter.base.http.shapes import request_example, shape

REACTIONS = "Reactions"
NO_ID = invalid("tweet_id", "This field is required.")


@request_example({"tweet_id": TWEET_EXAMPLE["id"]})
class TweetIdSerializer(InputSerializer):
    """Names a tweet."""

    tweet_id = WireIdField()


Liked = shape(
    "Liked",
    example={"data": {"liked": True}},
    data=shape("LikedState", liked=serializers.BooleanField())(),
)


Retweeted = shape(
    "Retweeted",
    example={"data": {"retweeted": False}},
    data=shape("RetweetedState", retweeted=serializers.BooleanField())(),
)


Bookmarked = shape(
    "Bookmarked",
    example={"data": {"bookmarked": True}},
    data=shape("BookmarkedState", bookmarked=serializers.BooleanField())(),
)
BookmarksPage = shape(
    "BookmarksPage",
    example={
        **PAGE_EXAMPLE,
        "viewer": {**VIEWER_EXAMPLE, "bookmarked": [TWEET_EXAMPLE["id"]]},
        "meta": {"result_count": 1, "next_cursor": "374005570000004"},
    },
    **PAGE_FIELDS,
    meta=CursorMeta(),
)


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
        body = tweet_answer(tweet_id=retweet_id, reader_id=account_id)
        return json_answer(body, status=201 if new else 200)

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


class BookmarkView(APIView):
    """`POST` and `DELETE /tweet/bookmark`."""

    @extend_schema(
        operation_id="bookmark",
        tags=[REACTIONS],
        request=TweetIdSerializer,
        responses={200: Bookmarked, **problems(NO_ID, NO_TWEET)},
    )
    def post(self, request: Request) -> Response:
        """Bookmark a tweet.

        Only you see your bookmarks. Bookmarking a retweet bookmarks its original.
        """
        bookmarks.add(account_id=actor_id(request), tweet_id=_tweet_id(request.data))
        return Response({"data": {"bookmarked": True}})

    @extend_schema(
        operation_id="remove_bookmark",
        tags=[REACTIONS],
        parameters=[delete_parameter("tweet_id", "Which tweet.")],
        request=None,
        responses={200: Bookmarked, **problems(NO_ID)},
    )
    def delete(self, request: Request) -> Response:
        """Take a bookmark back.

        Also of a tweet that was not bookmarked, or that you cannot see any more.
        """
        tweet_id = _tweet_id(body_or_query(request))
        bookmarks.remove(account_id=actor_id(request), tweet_id=tweet_id)
        return Response({"data": {"bookmarked": False}})


class BookmarksView(ConditionalView):
    """`GET /tweet/bookmarks`."""

    @extend_schema(
        operation_id="bookmarks",
        tags=[REACTIONS],
        parameters=[CursorQuery],
        responses={200: BookmarksPage, **problems(invalid("max_id", "Go on with `cursor`."))},
    )
    def get(self, request: Request) -> HttpResponse:
        """Page through your bookmarks.

        The latest bookmark comes first, however old its tweet is. The next page is the `Link`
        header's, or `cursor` with `meta.next_cursor`. Tweets that you cannot see any more are left
        out; their bookmarks stay until the tweets are deleted.
        """
        which = query(CursorQuery, request)
        who = reader(actor_id(request))
        page = bookmarks.read(reader=who, **which)
        meta, link = cursor_page(
            path=request.path_info,
            limit=which["limit"],
            count=len(page.refs),
            cursor=page.next_id,
        )
        answer = json_answer(pipeline.present(page, reader=who, meta=to_json(meta)))
        if link:
            answer["Link"] = link
        return answer
