"""Wire shapes of accounts. `UserSerializer` is the only description of a user."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiRequest,
    OpenApiResponse,
    PolymorphicProxySerializer,
)
from rest_framework import serializers

from accounts.validators import (
    MAX_BIO,
    MAX_EMAIL,
    MAX_NAME,
    MAX_PASSWORD,
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
    """An e-mail address, which looks like no other."""

    def to_internal_value(self, data: Any) -> str:
        return characters.word(super().to_internal_value(data), most=MAX_EMAIL)


class PasswordField(TextField):
    """A password, taken as it is: blanks at its ends count."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=MAX_PASSWORD,
            trim_whitespace=False,
            write_only=True,
            style={"input_type": "password"},
            **options,
        )


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
        """The username stands for a name that is empty."""
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
UsersPage = shape(
    "UsersPage",
    example={
        "data": [USER_EXAMPLE],
        "meta": {"result_count": 1, "next_cursor": "374005570000003"},
    },
    data=UserSerializer(many=True),
    meta=shape(
        "UsersMeta",
        result_count=serializers.IntegerField(),
        next_cursor=WireIdField(
            required=False, help_text="The next page's `cursor`; absent on the last page."
        ),
    )(),
)
_TOKENS_EXAMPLE = {
    "access_token": "eyJhbGciOi….eyJpc3MiOi….c2lnbmF0dXJl",
    "refresh_token": "374005570000002.mZ0nTq…",
    "token_type": "Bearer",
    "expires_in": 900,
}
Tokens = shape(
    "Tokens",
    access_token=serializers.CharField(help_text="Send it as `Authorization: Bearer …`."),
    refresh_token=serializers.CharField(help_text="Exchange it for the next pair."),
    token_type=serializers.ChoiceField(["Bearer"]),
    expires_in=serializers.IntegerField(help_text="Seconds that the access token is valid."),
)
TokensResponse = shape("TokensResponse", example={"data": _TOKENS_EXAMPLE}, data=Tokens())
# OAuth clients get `Tokens` without `data` around it.
TOKENS = OpenApiResponse(
    PolymorphicProxySerializer(
        "TokensInEitherForm", [TokensResponse, Tokens], resource_type_field_name=None
    ),
    examples=[
        OpenApiExample("For JSON", value={"data": _TOKENS_EXAMPLE}),
        OpenApiExample("For a form", value=_TOKENS_EXAMPLE),
    ],
)
Following = shape(
    "Following",
    example={"data": {"following": True}},
    data=shape("FollowingState", following=serializers.BooleanField())(),
)
Revoked = shape(
    "Revoked",
    example={"data": {"revoked": True}},
    data=shape("RevokedState", revoked=serializers.BooleanField())(),
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


@request_example({"username": "jack", "password": "correct horse battery"})
class LogInSerializer(InputSerializer):
    """Credentials."""

    username = TextField(max_length=MAX_EMAIL, help_text="A username or an e-mail address.")
    password = PasswordField()


class PasswordGrantSerializer(serializers.Serializer[Any]):
    """Credentials as OAuth 2 sends them; `accounts.oauth` reads the form itself."""

    grant_type = serializers.ChoiceField(["password"])
    username = TextField(max_length=MAX_EMAIL, help_text="A username or an e-mail address.")
    password = PasswordField()


PASSWORD_GRANT = OpenApiRequest(
    PasswordGrantSerializer,
    examples=[
        OpenApiExample(
            "Example",
            value={
                "grant_type": "password",
                "username": "jack",
                "password": "correct horse battery",
            },
        )
    ],
)


@request_example({"refresh_token": "374005570000002.mZ0nTq…"})
class RefreshTokenSerializer(InputSerializer):
    """A refresh token."""

    refresh_token = TextField(max_length=200)


@request_example({"password": "correct horse battery"})
class PasswordSerializer(InputSerializer):
    """A password that confirms what cannot be undone."""

    password = PasswordField()


@request_example({"user_id": USER_EXAMPLE["id"]})
class UserIdSerializer(InputSerializer):
    """Names a user."""

    user_id = WireIdField()
