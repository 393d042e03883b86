"""What an export holds: what the subjects declare. `tests/privacy/test_export.py` compares both.

They only describe: rows are written as they are, for DRF would take longer than PostgreSQL.
"""

from typing import Any

from rest_framework import serializers

from accounts.people.serializers import EXPORTED_ACCOUNT_EXAMPLE, ExportedAccountSerializer
from twitter.base.http.shapes import EXAMPLE_TIME, shape
from twitter.privacy.export import EXPORTS

_EXAMPLE: dict[str, Any] = {
    "exported_at": EXAMPLE_TIME,
    "account": EXPORTED_ACCOUNT_EXAMPLE,
    **{export.name: list(export.example) for export in EXPORTS},
}

ExportResponse = shape(
    "ExportResponse",
    example={"data": _EXAMPLE},
    data=shape(
        "Export",
        exported_at=serializers.DateTimeField(help_text="When it was begun."),
        account=ExportedAccountSerializer(),
        **{
            export.name: export.described_by(many=True, help_text=export.help_text or None)
            for export in EXPORTS
        },
    )(help_text="Each list comes newest first."),
)
