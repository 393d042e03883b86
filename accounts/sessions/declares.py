"""What sessions declare."""

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from accounts.declared import Subject
from accounts.models import Session
from accounts.sessions import guessing, limits, states
from twitter.base.data import keyset
from twitter.base.data.ids import WireIdField, time_of
from twitter.base.declared import Export, Row
from twitter.base.http.shapes import EXAMPLE_TIME


class ExportedSessionSerializer(serializers.Serializer[Any]):
    """A session. Only hashes of its tokens are stored, and they are not exported."""

    id = WireIdField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="When it ends, and may be deleted.")
    revoked_at = serializers.DateTimeField(allow_null=True, help_text="When it was ended early.")


def _sessions(account_id: int) -> Iterator[Row]:
    sessions = Session.objects.filter(account_id=account_id)
    for number, expires_at, revoked_at in keyset.walk(sessions, "expires_at", "revoked_at"):
        yield {
            "id": str(number),
            "created_at": time_of(number),
            "expires_at": expires_at,
            "revoked_at": revoked_at,
        }


SUBJECT = Subject(
    exports=(
        Export(
            name="sessions",
            rows=_sessions,
            described_by=ExportedSessionSerializer,
            example=[
                {
                    "id": "374005570000002",
                    "created_at": EXAMPLE_TIME,
                    "expires_at": EXAMPLE_TIME,
                    "revoked_at": None,
                }
            ],
        ),
    ),
    rows=(Session,),
    sweep=(states.drop, limits.reset_counts, guessing.delete_records),
)
