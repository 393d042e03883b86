"""People who use the service at once, and the record of what they were told.

Each write is repeated until its answer is definite, as a good client does: 2xx or 4xx. After a 503,
or without an answer, the client does not know whether it was done; a tweet carries an
Idempotency-Key, and all else may be done twice. So in the end it is known of each write whether it
has to be there.
"""

import http.client
import itertools
import json
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

PASSWORD = "correct horse battery 9"
ANSWER_SECONDS = 60.0
PAUSE_SECONDS = (0.02, 0.15)
RETRY_SECONDS = 0.25
BUSY = "/problems/busy"
NO_ANSWER = 0


class Sent(NamedTuple):
    """A request, as it was seen from here. `status`: 0 when no answer came."""

    at: float
    seconds: float
    method: str
    path: str
    status: int
    retry_after: bool
    # A process makes two hashes of passwords at once; the next is told to come again.
    is_busy: bool


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: Any


@dataclass
class World:
    """What all people together know. Threads share it: every change is one operation."""

    port: int
    sent: list[Sent] = field(default_factory=list)
    accounts: list["Person"] = field(default_factory=list)
    tweets: dict[int, int] = field(default_factory=dict)  # alive: id to author's id
    deleted: set[int] = field(default_factory=set)
    texts: dict[int, str] = field(default_factory=dict)
    # When a reader lacked an own tweet, or saw one that was deleted before: during a fault at most.
    lacking: list[float] = field(default_factory=list)
    stale: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)

    def fail(self, message: str) -> None:
        """Note what must never happen."""
        self.failures.append(message)


class Person:
    """An account, what it did, and the connection of its client."""

    numbers = itertools.count(1)

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.name = f"c{secrets.token_hex(4)}_{next(self.numbers)}"[:15]
        self.id = 0
        self.token = ""
        self.tweets: list[int] = []
        self.deleted: set[int] = set()
        self.retweets: dict[int, int] = {}  # original's id to the retweet's
        self.likes: set[int] = set()
        self.follows: set[int] = set()
        self._connection: http.client.HTTPConnection | None = None

    # --- asking ----------------------------------------------------------------------------------
    def ask(
        self,
        method: str,
        path: str,
        payload: Any = None,
        *,
        key: str | None = None,
        **query: Any,
    ) -> Answer:
        """Send a request once, and note what came of it."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Content-Type": "application/json"} if payload is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if key:
            headers["Idempotency-Key"] = key
        begun = time.monotonic()
        status, retry_after, body = NO_ANSWER, False, None
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self.world.port, timeout=ANSWER_SECONDS
                )
            data = None if payload is None else json.dumps(payload).encode()
            self._connection.request(method, target, body=data, headers=headers)
            response = self._connection.getresponse()
            content = response.read()
            status, retry_after = response.status, "Retry-After" in response.headers
            body = json.loads(content) if content else None
            if response.headers.get("Connection", "").lower() == "close":
                self.hang_up()
        except (OSError, http.client.HTTPException, ValueError):
            self.hang_up()
        ended = time.monotonic()
        is_busy = isinstance(body, dict) and body.get("type") == BUSY
        self.world.sent.append(
            Sent(begun, ended - begun, method, path, status, retry_after, is_busy)
        )
        return Answer(status, body)

    def hang_up(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def insist(self, method: str, path: str, payload: Any = None, **options: Any) -> Answer:
        """Send a write until its answer is definite."""
        while True:
            answer = self.ask(method, path, payload, **options)
            if 200 <= answer.status < 500 and answer.status != 429:
                return answer
            time.sleep(RETRY_SECONDS)

    def wrong(self, what: str, answer: Answer) -> None:
        """Note an answer that cannot be right."""
        self.world.fail(f"{what} of {self.name}: {answer.status} {answer.body}")

    # --- signing up ------------------------------------------------------------------------------
    def join(self) -> None:
        """Sign up and log in. An answer that got lost makes the next say that the name is taken."""
        body = {"username": self.name, "password": PASSWORD, "email": f"{self.name}@example.org"}
        created = self.insist("POST", "/auth/create", body)
        if created.status not in (201, 409):
            self.wrong("signing up", created)
        tokens = self.insist("POST", "/auth/token", {"username": self.name, "password": PASSWORD})
        if tokens.status != 200:
            self.wrong("logging in", tokens)
            return
        self.token = tokens.body["data"]["access_token"]
        self.id = int(self.insist("GET", "/auth/me").body["data"]["id"])
        self.world.accounts.append(self)

    # --- writing ---------------------------------------------------------------------------------
    def post(self) -> None:
        text = f"{self.name} says {secrets.token_hex(8)}"
        answer = self.insist("POST", "/tweet/create", {"text": text}, key=secrets.token_hex(16))
        if answer.status not in (200, 201):
            self.wrong("posting", answer)
            return
        number = int(answer.body["data"]["id"])
        self.tweets.append(number)
        self.world.texts[number] = text
        self.world.tweets[number] = self.id

    def delete(self) -> None:
        if not self.tweets:
            return
        number = self.chance.choice(self.tweets)
        answer = self.insist("DELETE", f"/tweet/delete/{number}")
        if answer.status not in (200, 204, 404):  # 404: the answer before got lost
            self.wrong("deleting", answer)
        self.tweets.remove(number)
        self.deleted.add(number)
        self.world.deleted.add(number)
        self.world.tweets.pop(number, None)

    def like(self) -> None:
        number = self._some_tweet()
        if number is None:
            return
        answer = self.insist("POST", "/tweet/like", {"tweet_id": str(number)})
        if answer.status == 200:
            self.likes.add(number)
        elif answer.status != 404:
            self.wrong("liking", answer)

    def unlike(self) -> None:
        if self.likes:
            number = self.chance.choice(sorted(self.likes))
            answer = self.insist("DELETE", "/tweet/like", {"tweet_id": str(number)})
            if answer.status in (200, 404):
                self.likes.discard(number)
            else:
                self.wrong("unliking", answer)

    def retweet(self) -> None:
        number = self._some_tweet()
        if number is None:
            return
        answer = self.insist("POST", "/tweet/retweet", {"tweet_id": str(number)})
        if answer.status in (200, 201):
            self.retweets[number] = int(answer.body["data"]["id"])
        elif answer.status != 404:
            self.wrong("retweeting", answer)

    def undo(self) -> None:
        if self.retweets:
            number = self.chance.choice(sorted(self.retweets))
            answer = self.insist("DELETE", "/tweet/retweet", {"tweet_id": str(number)})
            if answer.status in (200, 404):
                self.retweets.pop(number)
            else:
                self.wrong("undoing a retweet", answer)

    def _some_tweet(self) -> int | None:
        newest = list(self.world.tweets)[-50:]
        return self.chance.choice(newest) if newest else None

    def follow(self) -> None:
        other = self.chance.choice(self.world.accounts)
        if other is self or not other.id:
            return
        answer = self.insist("POST", "/auth/follow", {"user_id": str(other.id)})
        if answer.status != 200:
            self.wrong("following", answer)
            return
        self.follows.add(other.id)

    def unfollow(self) -> None:
        if not self.follows:
            return
        number = self.chance.choice(sorted(self.follows))
        answer = self.insist("DELETE", "/auth/unfollow", {"user_id": str(number)})
        if answer.status != 200:
            self.wrong("unfollowing", answer)
            return
        self.follows.discard(number)

    # --- reading ---------------------------------------------------------------------------------
    def read(self) -> None:
        answer = self.ask("GET", "/timeline/timeline", limit=20)
        if answer.status != 200:
            return
        shown = [int(tweet["id"]) for tweet in answer.body["data"]]
        if shown != sorted(set(shown), reverse=True):
            self.world.fail(f"a page of {self.name} is out of order: {shown}")
        newest = max(self.tweets, default=0)
        if newest and newest not in shown and (len(shown) < 20 or newest > shown[-1]):
            self.world.lacking.append(time.monotonic())
        authors = {int(tweet["author_id"]) for tweet in answer.body["data"]}
        if set(shown) & self.deleted or not authors <= self.follows | {self.id}:
            self.world.stale.append(time.monotonic())

    def update(self) -> None:
        self.ask("GET", "/timeline/update", since_id=max(self.tweets, default=1))

    def look_around(self) -> None:
        other = self.chance.choice(self.world.accounts)
        if other.id:
            self.ask("GET", f"/timeline/user/{other.id}")
            self.ask("GET", f"/auth/id/{other.id}")

    def do_something(self) -> None:
        """Do what people do, as often as they do it."""
        (action,) = self.chance.choices(list(ACTIONS), weights=list(ACTIONS.values()))
        action(self)


ACTIONS: dict[Callable[[Person], None], int] = {
    Person.read: 40,
    Person.post: 16,
    Person.like: 10,
    Person.look_around: 8,
    Person.update: 6,
    Person.follow: 6,
    Person.retweet: 5,
    Person.delete: 4,
    Person.unfollow: 3,
    Person.unlike: 3,
    Person.undo: 2,
}


def live(world: World, seed: int) -> None:
    """Be a person until the world stops, and now and then another one."""
    chance = random.Random(seed)
    person = Person(world, chance)
    person.join()
    while not world.stop.is_set():
        if chance.random() < 0.004:
            person.hang_up()
            person = Person(world, chance)
            person.join()
        person.do_something()
        time.sleep(chance.uniform(*PAUSE_SECONDS))
    person.hang_up()
