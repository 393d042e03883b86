"""What schemathesis shall not send."""

from typing import Any
from urllib.parse import urlencode

import schemathesis

# The web server refuses request lines of more than 4094 bytes (gunicorn's limit_request_line)
# before any view sees them, so that answer is not the API's.
MAX_QUERY = 3_000


@schemathesis.hook
def filter_query(context: schemathesis.HookContext, query: dict[str, Any] | None) -> bool:
    return len(urlencode(query or {}, doseq=True)) <= MAX_QUERY
