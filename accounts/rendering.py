"""Users as bytes: rendered once by the serializer, joined into answers ever after."""

from typing import Any

from accounts.serializers import UserSerializer
from twitter.base.http.renderers import to_json

# Part of every cache key. A golden file in the tests tells when the shape changed: raise it then.
SHAPE_VERSION = 3


# One for all: making a serializer's fields costs more than using them.
_SERIALIZER = UserSerializer()


def render_card(profile: Any) -> bytes:
    """Return the public JSON of a `selectors.Profile`."""
    return to_json(_SERIALIZER.to_representation(profile))
