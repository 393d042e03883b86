"""A small HTTP client: a connection a request, so that threads may share it, and no cleverness
that would repair a wrong request or hide a wrong answer.
"""

import contextlib
import http.client
import itertools
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

Result = TypeVar("Result")

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.1
PASSWORD = "correct horse battery 9"

_RUN = secrets.token_hex(3)
_numbers = itertools.count(1)

logger = logging.getLogger(__name__)


def eventually(attempt: Callable[[], Result], *, seconds: float = 30.0) -> Result:
    """Repeat `attempt` until it raises no AssertionError; what it raises last is the failure."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def ids(self) -> list[int]:
        """The ids of a page, in its order."""
        return [int(item["id"]) for item in self.data]

    @property
    def links(self) -> dict[str, str]:
        """The `Link` header: relation to path and query."""
        found = re.findall(r'<([^>]*)>; rel="(\w+)"', self.headers.get("Link", ""))
        return {relation: address for address, relation in found}

    def assert_problem(self, status: int, *, field: str | None = None) -> None:
        """Assert that this is an RFC 9457 problem, for a wrong input one that names the field."""
        assert self.status == status, self
        assert self.headers["Content-Type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == status, self
        assert {"type", "title", "detail"} <= problem.keys(), self
        if field is not None:
            assert field in problem["errors"], self


class Client:
    """Somebody without a token, or with one; who is patient waits when told to, and asks again."""

    def __init__(
        self, base_url: str, *, token: str | None = None, is_patient: bool = False
    ) -> None:
        self.base_url = base_url
        self.token = token
        self.is_patient = is_patient

    def send(
        self,
        method: str,
        target: str,
        *,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send exactly this, with the token, and return what comes back, whatever it is."""
        address = urlsplit(self.base_url)
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kind[address.scheme](address.netloc, timeout=TIMEOUT_SECONDS)
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            # An answer may come, and the connection be closed, before all of a body is sent.
            with contextlib.suppress(BrokenPipeError):
                connection.request(
                    method, target, body=body, headers=authorization | (headers or {})
                )
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        payload: Any = None,
        *,
        status: int | None = 200,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """Send a payload as JSON, and a query; the answer has the status (None: any)."""
        target = f"{path}?{urlencode(query)}" if query else path
        body = None if payload is None else json.dumps(payload).encode()
        content = {} if body is None else {"Content-Type": "application/json"}
        answer = self.send(method, target, body=body, headers=content | (headers or {}))
        if self.is_patient and answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            seconds = int(answer.headers["Retry-After"])
            logger.warning("%s %s: told to wait for %d seconds", method, path, seconds)
            time.sleep(seconds)
            return self.request(method, path, payload, status=status, headers=headers, **query)
        assert status in (None, answer.status), f"{method} {target}: {answer}"
        return answer

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, payload: Any = None, **options: Any) -> Answer:
        return self.request("POST", path, payload, **options)

    def patch(self, path: str, payload: Any = None, **options: Any) -> Answer:
        return self.request("PATCH", path, payload, **options)

    def delete(self, path: str, payload: Any = None, **options: Any) -> Answer:
        return self.request("DELETE", path, payload, **options)

    def pages(self, path: str) -> Iterator[Answer]:
        """Read a page and those that its `Link: rel="next"` leads to, to the end."""
        following: str | None = path
        while following:
            page = self.get(following)
            following = page.links.get("next")
            yield page


class User(Client):
    """Somebody who has signed up and logged in."""

    def __init__(
        self, base_url: str, *, username: str, password: str, is_patient: bool = False
    ) -> None:
        super().__init__(base_url, is_patient=is_patient)
        self.username = username
        self.password = password
        self.refresh_token = ""
        self.log_in()
        self.id = int(self.get("/auth/me").data["id"])

    @property
    def email(self) -> str:
        return f"{self.username}@example.org"

    def log_in(self) -> None:
        """Begin a new session."""
        tokens = Client(self.base_url, is_patient=self.is_patient).post(
            "/auth/token", {"username": self.username, "password": self.password}
        )
        self.token = tokens.data["access_token"]
        self.refresh_token = tokens.data["refresh_token"]

    def profile(self, user_id: int | None = None) -> dict[str, Any]:
        """Read somebody's public profile; one's own by default."""
        return self.get(f"/auth/id/{user_id or self.id}").data

    def metrics(self, user_id: int | None = None) -> dict[str, int]:
        """Read somebody's counts; one's own by default."""
        return self.profile(user_id)["public_metrics"]

    def follow(self, *others: "User") -> None:
        for other in others:
            self.post("/auth/follow", {"user_id": str(other.id)})

    def tweet(self, text: str) -> int:
        """Post a tweet; returns its id."""
        return int(self.post("/tweet/create", {"text": text}, status=201).data["id"])

    def home(self, **query: Any) -> list[int]:
        """Read the ids of a page of the home timeline."""
        return self.get("/timeline/timeline", **query).ids


def new_name() -> str:
    """Return a username that no account had so far, not in an earlier run either."""
    return f"u{_RUN}_{next(_numbers)}"


def sign_up(base_url: str, *, is_patient: bool = False) -> User:
    """Make a new user, who is logged in."""
    name = new_name()
    Client(base_url, is_patient=is_patient).post(
        "/auth/create",
        {"username": name, "password": PASSWORD, "email": f"{name}@example.org"},
        status=201,
    )
    return User(base_url, username=name, password=PASSWORD, is_patient=is_patient)
