"""The export over HTTP."""

import threading
import time
from collections.abc import Iterator

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from twitter.base.http.errors import TooBusy
from twitter.base.http.problems import Kind
from twitter.base.http.requests import actor_id
from twitter.base.http.schema import problems, refused
from twitter.privacy import export
from twitter.privacy.serializers import ExportResponse

# A thread of the web server sends an export as fast as the client reads it. So that slow readers
# never hold all threads, each process sends this many at once, and none for ever.
AT_ONCE = 1
WAIT_SECONDS = 2.0
MOST_SECONDS = 600.0
RETRY_AFTER_SECONDS = 30

_turns = threading.BoundedSemaphore(AT_ONCE)


class ExportTooSlow(Exception):
    """The client has not taken its export within MOST_SECONDS."""


class _Turn:
    """Blocks of an export. Its place is free at the end, or when the server gives up sending."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        last_moment = time.monotonic() + MOST_SECONDS
        try:
            for block in self._blocks:
                if time.monotonic() > last_moment:
                    raise ExportTooSlow
                yield block
        finally:
            self.close()

    def close(self) -> None:
        """Let others have their turn."""
        if not self._ended:
            self._ended = True
            _turns.release()


def _begin(account_id: int) -> _Turn:
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise TooBusy(
            "Others are being given their data right now; try again in a moment.",
            seconds=RETRY_AFTER_SECONDS,
        )
    try:
        return _Turn(export.document(account_id))
    except BaseException:
        _turns.release()
        raise


class ExportView(APIView):
    """`GET /auth/export`."""

    @extend_schema(
        operation_id="export_data",
        tags=["Your data"],
        responses={
            200: ExportResponse,
            **problems(
                refused(
                    503,
                    Kind.BUSY,
                    "Others are being given their data right now; try again in a moment.",
                )
            ),
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Download all that is stored of oneself.

        The answer is sent while it is read from the database, in no one moment: what changes
        meanwhile may be in it as it was or as it is. If something goes wrong in the middle, the
        connection is closed before the answer is complete, and what came is no valid JSON.
        """
        account_id = actor_id(request)
        blocks = _begin(account_id) if request.method == "GET" else ()
        return StreamingHttpResponse(
            blocks,
            content_type="application/json",
            headers={
                "Content-Disposition": f'attachment; filename="twitter-{account_id}.json"',
                "Cache-Control": "no-store",
            },
        )
