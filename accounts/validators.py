"""What a username and a password may be."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

MAX_NAME, MAX_BIO, MAX_EMAIL = 50, 160, 254

# Longer ones only cost time to hash.
MAX_PASSWORD = 128

# Twitter's rule: ASCII only, so no two names look alike but by case, which is ignored.
USERNAME_PATTERN = re.compile(r"\A[A-Za-z0-9_]{1,15}\Z")

# Names that would pass for the service itself, or for a part of an address.
_RESERVED = """
about abuse account accounts admin administrator anonymous api auth billing blog contact copyright
create delete docs dev developer everyone explore follow followers following guest healthz help
helthz here home hostmaster id info jobs legal like log_in login logout mail me media moderator
moderators name news noc none nobody notifications null official ops owner password postmaster
press privacy profile refresh register retweet revoke root schema search security settings signin
signup staff static status support sysadmin system team terms timeline token tos tweet tweets
twitter undefined unfollow update user username users verified verify webmaster www
"""
RESERVED_USERNAMES = frozenset(_RESERVED.split())

validate_username_pattern = RegexValidator(
    USERNAME_PATTERN, "A username has 1 to 15 characters: letters (A to Z), digits and _."
)


def validate_not_reserved(username: str) -> None:
    """Raise Django's ValidationError for a reserved name, in whatever case."""
    if username.lower() in RESERVED_USERNAMES:
        raise ValidationError("This username is reserved.", code="reserved")


class MaximumLengthValidator:
    """Refuses passwords that no log-in would take; one of AUTH_PASSWORD_VALIDATORS."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise Django's ValidationError for more than MAX_PASSWORD characters."""
        if len(password) > MAX_PASSWORD:
            raise ValidationError(
                f"This password is too long. It may have at most {MAX_PASSWORD} characters.",
                code="password_too_long",
            )

    def get_help_text(self) -> str:
        """Return what the admin shows beside the field."""
        return f"Your password may have at most {MAX_PASSWORD} characters."
