"""Swagger UI and the admin, driven in a headless browser as a person would.

Screenshots go to the folder SCREENSHOTS, when it is set.
"""

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.e2e.client import User, eventually
from tests.e2e.conftest import APP, APP_PORT, Stack

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# Without them the browser calls its makers at every start, and, as root, does not start at all.
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]

# On a machine that does much else, a page takes its time.
expect.set_options(timeout=30_000)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="there is no browser: install one, for example `apt-get install chromium`",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page; in the end, no script has raised an error, and no policy was broken."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            errors.append(message.text)

    page.on("console", note)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def shoot(page: Page, tmp_path: Path) -> Callable[[str], None]:
    """Return a function that takes a screenshot of what a person sees."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)

    def shoot(name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return shoot


def open_swagger(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url}/")  # which leads there
    expect(page.locator(".opblock")).to_have_count(31)


def operation(page: Page, name: str) -> Locator:
    return page.locator(f"[id$='-{name}'].opblock")


def test_swagger_ui_explains_itself(stack: Stack, page: Page, shoot: Callable[[str], None]) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    open_swagger(stack, page)
    expect(page.get_by_text("/problems/expired-token").first).to_be_visible()
    shoot("swagger")
    groups = page.locator(".opblock-tag-section h3").all_inner_texts()
    assert groups[0].startswith("Sign-up and sessions")
    assert groups[-1].startswith("Health")
    expect(page.locator("section.models")).to_have_count(0)
    page.get_by_placeholder("Filter by tag").fill("Timelines")
    expect(page.locator(".opblock")).to_have_count(3)
    assert {host for host in hosts if host} == {urlsplit(stack.url).netloc}


def test_an_operation_has_an_address(
    stack: Stack, page: Page, shoot: Callable[[str], None]
) -> None:
    page.goto(f"{stack.url}/api/docs/#/Tweets/create_tweet")
    create = operation(page, "create_tweet")
    expect(create.get_by_text("Send an Idempotency-Key")).to_be_visible()
    create.scroll_into_view_if_needed()
    shoot("swagger-create-tweet")
    create.locator(".responses-wrapper").scroll_into_view_if_needed()
    shoot("swagger-responses")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="create_account").first.click()
    expect(operation(opened.value, "create_account").get_by_text("log in next")).to_be_visible()


def test_a_page_that_is_loaded_again_works(stack: Stack, page: Page) -> None:
    """The browser has it all, and is told so."""
    for _ in range(3):
        page.goto(f"{stack.url}/api/docs/")
        expect(page.locator(".opblock")).to_have_count(31)
        page.goto("about:blank")


def test_who_logs_in_under_authorize_can_try_everything(
    stack: Stack, page: Page, shoot: Callable[[str], None], ada: User
) -> None:
    open_swagger(stack, page)
    page.get_by_role("button", name="Authorize").click()
    form = page.locator(".modal-ux .auth-container").first
    expect(form.get_by_label("client_id:")).to_be_hidden()
    form.get_by_label("username:").fill(ada.username)
    form.get_by_label("password:").fill("a wrong guess")
    form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    expect(form.get_by_text("Username or password is wrong.")).to_be_visible()
    form.get_by_label("password:").fill(ada.password)
    shoot("swagger-authorize")
    form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    expect(form.get_by_role("button", name="Remove authorization")).to_be_visible()
    page.locator(".modal-ux").get_by_role("button", name="Close").first.click()

    create = operation(page, "create_tweet")
    create.locator(".opblock-summary-control").click()
    create.get_by_role("button", name="Try it out").click()
    create.locator("textarea.body-param__text").fill('{"text": "posted in a browser"}')
    create.get_by_role("button", name="Execute").click()
    answer = create.locator(".live-responses-table")
    expect(answer.locator("tbody .response-col_status").first).to_contain_text("201")
    create.get_by_role("heading", name="Request URL").scroll_into_view_if_needed()
    shoot("swagger-posted")
    tweet = ada.get(f"/timeline/user/{ada.id}").data[0]
    assert tweet["text"] == "posted in a browser"

    updates = operation(page, "home_updates")
    updates.locator(".opblock-summary-control").click()
    updates.get_by_role("button", name="Try it out").click()
    updates.get_by_role("button", name="Execute").click()  # as it is filled in
    answer = updates.locator(".live-responses-table")
    expect(answer.locator("tbody .response-col_status").first).to_contain_text("200")
    shoot("swagger-updates")


USE = """async ([api, token]) => {
    const headers = {"Authorization": `Bearer ${token}`, "Content-Type": "application/json"};
    const posted = await fetch(`${api}/tweet/create`, {
        method: "POST",
        headers: {...headers, "Idempotency-Key": crypto.randomUUID?.() ?? "once"},
        body: JSON.stringify({text: "from another origin"}),
    });
    const cold = await fetch(`${api}/timeline/timeline?limit=1`, {headers});
    const warm = await fetch(`${api}/timeline/timeline?limit=1`, {headers});
    const wrong = await fetch(`${api}/auth/me`);
    const told = ["Link", "RateLimit", "X-Request-Id"].map((name) => warm.headers.get(name));
    return [[posted.status, cold.status, warm.status, wrong.status], told];
}"""


@pytest.fixture
def app() -> Iterator[None]:
    """Serve an empty page on APP_PORT."""
    with ThreadingHTTPServer(("127.0.0.1", APP_PORT), EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


class EmptyPage(BaseHTTPRequestHandler):
    """Answers everything with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_pages_of_an_allowed_origin_use_the_api_and_those_of_others_do_not(
    stack: Stack, page: Page, ada: User, app: None
) -> None:
    if not stack.environment:
        pytest.skip("The service was not started here, with an origin that is allowed.")
    page.goto(APP)
    statuses, told = page.evaluate(USE, [stack.url, ada.token])
    assert statuses == [201, 200, 200, 401]
    assert all(told)
    page.goto(APP.replace("localhost", "127.0.0.1"))  # another origin for a browser
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate(USE, [stack.url, ada.token])
    assert len(ada.home()) == 1


def open_admin(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(stack.admin_password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def search(stack: Stack, page: Page, table: str, words: str) -> None:
    """Open a list by its path and search it; exactly one row is found."""
    page.goto(f"{stack.url}/admin/{table}/")
    page.locator("#searchbar").fill(words)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)


def act(page: Page, action: str, reason: str) -> None:
    """Do something to the one row in the list, for a reason."""
    page.locator("#result_list tbody tr input.action-select").check()
    page.get_by_label("Action:").select_option(label=action)
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").fill(reason)


def confirm(page: Page) -> None:
    page.locator(".submit-row input[type=submit]").click()
    expect(page.locator(".messagelist .success")).to_contain_text("Done for 1.")


def audited(stack: Stack, page: Page, what: str, reason: str) -> None:
    """Assert that the newest row of the audit log says who did what, and why."""
    page.goto(f"{stack.url}/admin/admin/logentry/")
    newest = page.locator("#result_list tbody tr").first
    expect(newest).to_contain_text("admin")
    expect(newest).to_contain_text(re.compile(f"{what}.*{reason}"))


def test_a_moderator_suspends_and_lifts(
    stack: Stack, page: Page, shoot: Callable[[str], None], ada: User, bob: User
) -> None:
    bob.follow(ada)
    tweet = ada.tweet("a tweet that vanishes")
    eventually(lambda: shows(bob, [tweet]))

    open_admin(stack, page)
    shoot("admin-index")
    search(stack, page, "accounts/account", ada.username)
    shoot("admin-accounts")
    act(page, "Suspend…", "spam, seen by a test")
    shoot("admin-suspend")
    confirm(page)
    shoot("admin-suspended")

    ada.get("/auth/me", status=401)
    credentials = {"username": ada.username, "password": ada.password}
    ada.post("/auth/token", credentials, status=403)
    assert bob.home() == []
    bob.get(f"/tweet/id/{tweet}", status=404)
    bob.get(f"/auth/id/{ada.id}", status=404)
    bob.get(f"/timeline/user/{ada.id}", status=404)
    audited(stack, page, "Suspended", "spam, seen by a test")
    shoot("admin-audit-log")

    search(stack, page, "accounts/account", ada.email)
    act(page, "Lift the suspension…", "it was a mistake")
    confirm(page)
    audited(stack, page, "Suspension lifted", "it was a mistake")
    ada.get("/auth/me", status=401)  # the old token stays ended
    ada.log_in()
    eventually(lambda: shows(bob, [tweet]))


def shows(reader: User, ids: list[int]) -> None:
    assert reader.home() == ids


def test_a_moderator_hides_restores_and_deletes_a_tweet(
    stack: Stack, page: Page, shoot: Callable[[str], None], ada: User, bob: User
) -> None:
    bob.follow(ada)
    tweet = ada.tweet(f"to be moderated, {ada.username}")
    eventually(lambda: shows(bob, [tweet]))

    open_admin(stack, page)
    search(stack, page, "tweets/tweet", f'"to be moderated" {ada.username}')
    shoot("admin-tweets")
    act(page, "Hide…", "shows too much")
    confirm(page)
    for reader in (ada, bob):
        reader.get(f"/tweet/id/{tweet}", status=404)
        assert reader.home() == []
    audited(stack, page, "Hidden", "shows too much")

    search(stack, page, "tweets/tweet", f"@{ada.username}")
    shoot("admin-tweet-hidden")
    act(page, "Restore…", "shows little enough")
    confirm(page)
    audited(stack, page, "Restored", "shows little enough")
    assert bob.get(f"/tweet/id/{tweet}").data["author_id"] == str(ada.id)
    eventually(lambda: shows(bob, [tweet]))

    search(stack, page, "tweets/tweet", f"@{ada.username}")
    act(page, "Delete…", "the author asked for it")
    confirm(page)
    audited(stack, page, "Deleted", "the author asked for it")
    bob.get(f"/tweet/id/{tweet}", status=404)


def test_a_reason_must_be_given(stack: Stack, page: Page, ada: User) -> None:
    open_admin(stack, page)
    search(stack, page, "accounts/account", ada.username)
    act(page, "Suspend…", "   ")
    page.locator(".submit-row input[type=submit]").click()
    expect(page.locator(".errorlist")).to_contain_text("required")
    ada.get("/auth/me")


def test_every_list_and_form_of_the_admin_opens(
    stack: Stack, page: Page, shoot: Callable[[str], None], ada: User, bob: User
) -> None:
    bob.follow(ada)
    ada.tweet("something to open")
    open_admin(stack, page)
    shown = page.locator("#content-main tr[class*=model-] th a")
    links = [link.get_attribute("href") or "" for link in shown.all()]
    tables = {link.removeprefix("/admin/").rstrip("/") for link in links}
    assert tables >= {
        *("accounts/account", "accounts/follow", "admin/logentry", "outbox/delivery"),
        "tweets/tweet",
    }
    for table in sorted(tables):
        answer = page.goto(f"{stack.url}/admin/{table}/")
        assert answer is not None
        assert answer.ok, table
        shoot(f"admin-list-{table.replace('/', '-')}")
        row = page.locator("#result_list tbody th a").first
        if row.count():
            row.click()
            expect(page.locator("#content h2").first).to_be_visible()
            shoot(f"admin-form-{table.replace('/', '-')}")


def test_a_wrong_password_and_an_ordinary_user_stay_outside(
    stack: Stack, page: Page, shoot: Callable[[str], None], ada: User
) -> None:
    for username, password in (("admin", "a wrong guess"), (ada.username, ada.password)):
        page.goto(f"{stack.url}/admin/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator(".errornote")).to_contain_text("staff account")
    shoot("admin-refused")
