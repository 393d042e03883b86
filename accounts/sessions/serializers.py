"""Wire shapes of tokens and log-ins."""

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiRequest,
    OpenApiResponse,
    PolymorphicProxySerializer,
)
from rest_framework import serializers

from accounts.validators import MAX_EMAIL, MAX_PASSWORD
from twitter.base.http.fields import InputSerializer, TextField
from twitter.base.http.shapes import request_example, shape


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


Revoked = shape(
    "Revoked",
    example={"data": {"revoked": True}},
    data=shape("RevokedState", revoked=serializers.BooleanField())(),
)


@request_example({"username": "jack", "password": "correct horse battery"})
class LogInSerializer(InputSerializer):
    """Credentials."""

    username = TextField(max_length=MAX_EMAIL, help_text="A username or an e-mail address.")
    password = PasswordField()


class PasswordGrantSerializer(serializers.Serializer[Any]):
    """Credentials as OAuth 2 sends them; `accounts.sessions.oauth` reads the form itself."""

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
