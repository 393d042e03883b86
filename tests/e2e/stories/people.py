"""Who takes part in the stories: people, who clean up after themselves, and a moderator."""

import re
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from tests.e2e.client import User, sign_up

# The same ones in every story, for sign-ups are limited. Others sign up for one story.
REGULARS = ("Ada", "Bob", "Cyd")


class People(dict[str, User]):
    """The people of one service's stories, by the names that they have in these."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def __missing__(self, name: str) -> User:
        """Let one of the regulars, who is named for the first time, sign up."""
        assert name in REGULARS, f"{name} has to sign up first"
        return self.sign_up(name)

    def sign_up(self, name: str) -> User:
        """Let somebody sign up, who waits when told to."""
        self[name] = sign_up(self.base_url, is_patient=True)
        return self[name]

    def end_story(self) -> None:
        """Delete the guests, and undo all that the regulars did."""
        for name, person in list(self.items()):
            if name in REGULARS:
                undo_all(person)
            else:
                leave(self.pop(name))

    def leave(self) -> None:
        """Let all go."""
        for person in self.values():
            leave(person)


def undo_all(person: User) -> None:
    """Delete what somebody posted or retweeted, and unfollow everybody."""
    if person.get("/auth/me", status=None).status != 200:  # a story that failed half-way
        person.log_in()
    for page in list(person.pages(f"/timeline/user/{person.id}?limit=100")):
        for tweet in page.data:
            person.delete(f"/tweet/delete/{tweet['id']}", status=None)
    for page in list(person.pages(f"/auth/following/{person.id}?limit=100")):
        for followed in page.ids:
            person.delete("/auth/unfollow", user_id=followed)


def leave(person: User) -> None:
    """Delete somebody's account, unless it is gone."""
    person.delete(f"/auth/delete/{person.id}", {"password": person.password}, status=None)


def news(reader: User, *, since_id: int) -> tuple[list[int], set[int]]:
    """Return what is new to a reader since then, oldest first, and what is gone."""
    ids: list[int] = []
    gone: set[int] = set()
    while True:
        page = reader.get("/timeline/update", since_id=since_id, limit=2)
        ids += reversed(page.ids)
        gone |= {int(tweet_id) for tweet_id in page.json["deleted"]}
        since_id = page.json["meta"]["next_since_id"]
        if not page.ids:
            return ids, gone


class Moderator:
    """Somebody of the staff, who uses the admin's forms as a browser does."""

    def __init__(self, admin_url: str, *, username: str, password: str) -> None:
        self.admin_url = admin_url
        # The proxies of the environment are for other places than a service under test.
        self._browser = build_opener(HTTPCookieProcessor(CookieJar()), ProxyHandler({}))
        answer = self._submit("login/", {"username": username, "password": password, "next": "./"})
        assert "Site administration" in answer, f"{username} can't log in to {admin_url}"

    def act_on_account(self, account_id: int, *, action: str, reason: str) -> None:
        """Do something to an account, for a reason."""
        form = {"action": action, "_selected_action": str(account_id), "reason": reason}
        answer = self._submit("accounts/account/", form)
        assert "Done for 1." in answer, answer

    def _submit(self, path: str, form: dict[str, str]) -> str:
        """Fetch a page, send its form, and return the page that this leads to."""
        address = self.admin_url + path
        with self._browser.open(address) as page:
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
        assert token, f"{address} has no form"
        data = urlencode({**form, "csrfmiddlewaretoken": token[1]}).encode()
        # Over TLS, Django wants to see where the form came from.
        with self._browser.open(Request(address, data, {"Referer": address})) as answer:
            return answer.read().decode()
