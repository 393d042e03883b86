"""Wire shapes of follows."""

from rest_framework import serializers

from accounts.people.serializers import USER_EXAMPLE, UserSerializer
from twitter.base.data.ids import WireIdField
from twitter.base.http.fields import InputSerializer
from twitter.base.http.pagination import CursorMeta
from twitter.base.http.shapes import request_example, shape

UsersPage = shape(
    "UsersPage",
    example={
        "data": [USER_EXAMPLE],
        "meta": {"result_count": 1, "next_cursor": "374005570000003"},
    },
    data=UserSerializer(many=True),
    meta=CursorMeta(),
)


Following = shape(
    "Following",
    example={"data": {"following": True}},
    data=shape("FollowingState", following=serializers.BooleanField())(),
)


@request_example({"user_id": USER_EXAMPLE["id"]})
class UserIdSerializer(InputSerializer):
    """Names a user."""

    user_id = WireIdField()
