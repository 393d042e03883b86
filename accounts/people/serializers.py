"""Wire shapes of users."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from accounts.sessions.serializers import PasswordField
from accounts.validators import (
    MAX_BIO,
    MAX_EMAIL,
    MAX_NAME,
    validate_not_reserved,
    validate_username_pattern,
)
from twitter.base import characters
from twitter.base.data.ids import WireIdField, time_of
from twitter.base.http.fields import InputSerializer, LineField, LinesField, TextField
from twitter.base.http.shapes import request_example, shape

USER_EXAMPLE = {
    "id": "374005570000001",
    "username": "jack",
    "name": "Jack",
    "bio": "I post first.",
    "created_at": "2026-11-22T19:52:33.613000Z",
    "public_metrics": {"followers_count": 2, "following_count": 1, "tweet_count": 1},
}


class EmailField(TextField, serializers.EmailField):
    """An e-mail address in which every character is visible, so that it looks like no other."""

    def to_internal_value(self, data: Any) -> str:
        return characters.word(super().to_internal_value(data), most=MAX_EMAIL)


class PublicMetricsSerializer(serializers.Serializer[Any]):
    """A user's public numbers."""

    followers_count = serializers.IntegerField()
    following_count = serializers.IntegerField()
    tweet_count = serializers.IntegerField()


class UserSerializer(serializers.Serializer[Any]):
    """A user as everybody sees it."""

    id = WireIdField()
    username = serializers.CharField()
    name = serializers.SerializerMethodField(help_text="The username, if the user has no name.")
    bio = serializers.CharField()
    created_at = serializers.SerializerMethodField()
    public_metrics = PublicMetricsSerializer(source="*")

    def get_name(self, profile: Any) -> str:
        """The name, or the username if the name is empty."""
        name: str = profile.name or profile.username
        return name

    def get_created_at(self, profile: Any) -> datetime:
        """When the account was made, UTC."""
        return time_of(profile.id)


class OwnerSerializer(UserSerializer):
    """A user as its owner sees it."""

    email = serializers.EmailField(allow_null=True)


UserResponse = shape("UserResponse", example={"data": USER_EXAMPLE}, data=UserSerializer())


OwnerResponse = shape(
    "OwnerResponse",
    example={"data": {**USER_EXAMPLE, "email": "jack@example.com"}},
    data=OwnerSerializer(),
)


AccountDeleted = shape(
    "AccountDeleted",
    example={"data": {"deleted": True}},
    data=shape("AccountDeletedState", deleted=serializers.BooleanField())(),
)


class ProfileInputSerializer(InputSerializer):
    """What people say of themselves, at sign-up and later."""

    username = TextField(
        trim_whitespace=False,
        validators=[validate_username_pattern, validate_not_reserved],
        help_text="1 to 15 of A to Z, a to z, 0 to 9 and _; unique whatever the case.",
    )
    email = EmailField(max_length=MAX_EMAIL, help_text="Unique whatever the case.")
    name = LineField(
        max_length=MAX_NAME, required=False, help_text="When it is empty, the username is shown."
    )
    bio = LinesField(max_length=MAX_BIO, required=False)


@request_example(
    {
        "username": "jack",
        "email": "jack@example.com",
        "password": "correct horse battery",
        "name": "Jack",
        "bio": "I post first.",
    }
)
class SignUpSerializer(ProfileInputSerializer):
    """A new account."""

    password = PasswordField()


@request_example({"bio": "I posted first."})
class UpdateSerializer(ProfileInputSerializer):
    """Changes of one's own account; what is left out stays."""

    password = PasswordField(help_text="A new one. Ends all sessions.")
    current_password = PasswordField(
        required=False, help_text="Another username, e-mail address or password needs it."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, partial=True, **options)


@request_example({"password": "correct horse battery"})
class PasswordSerializer(InputSerializer):
    """A password that confirms what cannot be undone."""

    password = PasswordField()


class ExportedAccountSerializer(serializers.Serializer[Any]):
    """The account. Of the password only a hash is stored, which is not given to anybody."""

    id = WireIdField()
    username = serializers.CharField()
    name = serializers.CharField()
    bio = serializers.CharField()
    email = serializers.EmailField(allow_null=True)
    created_at = serializers.DateTimeField()
    suspended_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when moderators keep it from being seen."
    )
    last_admin_login_at = serializers.DateTimeField(allow_null=True)
    is_staff = serializers.BooleanField(help_text="May use the admin.")
    is_superuser = serializers.BooleanField(help_text="May do everything there.")
    groups = serializers.ListField(
        child=serializers.CharField(), help_text="Whose permissions in the admin it has."
    )
    permissions = serializers.ListField(
        child=serializers.CharField(), help_text="Its own permissions in the admin."
    )
    token_generation = serializers.IntegerField(
        help_text="How often all sessions were ended at once."
    )
    home_changed_at = serializers.DateTimeField(
        allow_null=True, help_text="When its home timeline last changed with whom it follows."
    )
    followers_homes_changed_at = serializers.DateTimeField(
        allow_null=True, help_text="When those of its followers last changed with its state."
    )
    is_popular = serializers.BooleanField(
        help_text="It has, or had, so many followers that they fetch its tweets."
    )
    imported_as = serializers.CharField(
        allow_null=True, help_text="Its number in the graph that it was imported from."
    )


EXPORTED_ACCOUNT_EXAMPLE = {
    **{name: USER_EXAMPLE[name] for name in ("id", "username", "name", "bio", "created_at")},
    "email": "jack@example.com",
    "suspended_at": None,
    "last_admin_login_at": None,
    "is_staff": False,
    "is_superuser": False,
    "groups": [],
    "permissions": [],
    "token_generation": 0,
    "home_changed_at": "2026-11-22T19:52:33.613000Z",
    "followers_homes_changed_at": None,
    "is_popular": False,
    "imported_as": None,
}
