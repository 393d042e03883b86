"""The admin as moderators use it, through Django's test client."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts import facade
from accounts.models import Account, Follow
from accounts.moderation import services
from accounts.sessions import services as sessions_services
from tests.accounts.factories import PASSWORD, AccountFactory, FollowFactory
from twitter.base.http.errors import Unauthenticated

pytestmark = pytest.mark.usefixtures("commits")

ACCOUNTS = "/admin/accounts/account/"
FOLLOWS = "/admin/accounts/follow/"


@pytest.fixture
def chief() -> Account:
    account: Account = AccountFactory(username="chief", is_staff=True, is_superuser=True)
    return account


@pytest.fixture
def admin(chief: Account) -> Client:
    client = Client()
    client.force_login(chief)
    return client


def act(client: Client, path: str, action: str, *ids: int, reason: str | None = None) -> Any:
    data = {"action": action, "_selected_action": [str(number) for number in ids]}
    return client.post(path, data if reason is None else {**data, "reason": reason}, follow=True)


def fields(account: Account, **changes: Any) -> dict[str, Any]:
    form = {"username": account.username, "name": account.name, "bio": account.bio}
    form |= {"email": account.email or "", "reason": "asked for it"}
    return {**form, **changes}


def test_a_moderator_logs_in_with_the_password() -> None:
    AccountFactory(username="chief", is_staff=True, is_superuser=True)
    client = Client()
    data = {"username": "CHIEF", "password": PASSWORD, "next": "/admin/"}
    answer = client.post("/admin/login/", data, follow=True)
    assert "Site administration" in answer.content.decode()


def test_suspending_asks_for_a_reason_and_is_audited(admin: Client, chief: Account) -> None:
    ada = AccountFactory(username="ada")
    facade.cards([ada.id])
    asked = act(admin, ACCOUNTS, "suspend", ada.id)
    assert "Goes into the audit log" in asked.content.decode()
    assert "@ada" in asked.content.decode()
    empty = act(admin, ACCOUNTS, "suspend", ada.id, reason="  ")
    assert "This field is required" in empty.content.decode()
    assert facade.visible([ada.id])
    done = act(admin, ACCOUNTS, "suspend", ada.id, reason="sells <b>watches</b>")
    assert "Done for 1." in done.content.decode()
    assert facade.cards([ada.id]) == {}
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (chief, str(ada.id))
    assert entry.change_message == "Suspended: sells <b>watches</b>"
    log = admin.get("/admin/admin/logentry/").content.decode()
    assert "sells &lt;b&gt;watches&lt;/b&gt;" in log
    suspended = admin.get(ACCOUNTS, {"state": "suspended"}).content.decode()
    assert "ada@example.org" in suspended
    assert "chief@example.org" not in suspended
    act(admin, ACCOUNTS, "lift", ada.id, reason="appeal")
    assert facade.cards([ada.id])
    assert LogEntry.objects.first().change_message == "Suspension lifted: appeal"  # type: ignore[union-attr]


def test_one_that_fails_does_not_keep_the_others(admin: Client, chief: Account) -> None:
    ada = AccountFactory()
    page = act(admin, ACCOUNTS, "suspend", ada.id, chief.id, reason="spam").content.decode()
    assert "You cannot suspend yourself." in page
    assert "Done for 1." in page
    assert facade.visible([ada.id, chief.id]) == {chief.id}


def test_who_is_suspended_is_out_of_the_admin(chief: Account) -> None:
    client, other = Client(), AccountFactory(is_staff=True, is_superuser=True)
    client.force_login(other)
    assert client.get("/admin/").status_code == 200
    services.suspend(account_id=other.id, by_id=chief.id, reason="left")
    assert client.get("/admin/").status_code == 302


def test_a_moderator_who_is_no_superuser_cannot_touch_the_staff(chief: Account) -> None:
    moderator, ada = AccountFactory(is_staff=True), AccountFactory()
    permissions = ("view_account", "change_account")
    moderator.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(moderator)
    page = act(client, ACCOUNTS, "suspend", ada.id, chief.id, reason="coup").content.decode()
    assert "Only a superuser" in page
    assert facade.visible([ada.id, chief.id]) == {chief.id}
    assert client.post(f"{ACCOUNTS}{chief.id}/change/", fields(chief)).status_code == 403
    promote = fields(moderator, is_staff="on", is_superuser="on")
    client.post(f"{ACCOUNTS}{moderator.id}/change/", promote)
    services.lift(account_id=ada.id, by_id=chief.id, reason="test")
    client.post(f"{ACCOUNTS}{ada.id}/change/", fields(ada, is_superuser="on", name="Fixed"))
    ada.refresh_from_db()
    assert (ada.name, ada.is_superuser) == ("Fixed", False)
    assert not Account.objects.get(id=moderator.id).is_superuser


def test_without_permission_there_are_no_actions() -> None:
    viewer, ada = AccountFactory(is_staff=True), AccountFactory()
    viewer.user_permissions.set(Permission.objects.filter(codename="view_account"))
    client = Client()
    client.force_login(viewer)
    assert client.get(ACCOUNTS).status_code == 200
    act(client, ACCOUNTS, "suspend", ada.id, reason="spam")
    assert facade.visible([ada.id])


def test_correcting_an_account_shows_at_once_and_is_audited(admin: Client) -> None:
    ada = AccountFactory(username="ada", name="Rude")
    facade.cards([ada.id])
    answer = admin.post(f"{ACCOUNTS}{ada.id}/change/", fields(ada, name="Ada", is_staff="on"))
    assert answer.status_code == 302
    assert b'"name":"Ada"' in facade.cards([ada.id])[ada.id]
    ada.refresh_from_db()
    assert ada.is_staff
    assert LogEntry.objects.get().change_message == "Changed name, is_staff: asked for it"
    no_reason = admin.post(f"{ACCOUNTS}{ada.id}/change/", fields(ada, reason=""))
    assert "This field is required" in no_reason.content.decode()


def test_a_username_that_is_taken_is_an_error_on_the_page(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = AccountFactory(username="ada"), AccountFactory(username="bob")
    path = f"{ACCOUNTS}{bob.id}/change/"
    page = admin.post(path, fields(bob, username="ADA"))
    assert "This username is taken." in page.content.decode()
    assert "A username has" in admin.post(path, fields(bob, username="a b")).content.decode()
    # Taken between the check and the write.
    monkeypatch.setattr(Account, "validate_constraints", lambda *args, **options: None)
    for target in (path, f"{ACCOUNTS}add/"):
        form = fields(bob, username="ADA", password1="long and secret", password2="long and secret")
        page = admin.post(target, form, follow=True)
        assert page.status_code == 200
        assert "This username is taken." in page.content.decode()
    assert Account.objects.get(id=ada.id).username == "ada"


def test_adding_an_account(admin: Client) -> None:
    form = {"username": "helper", "name": "Helper", "email": ""}
    weak = admin.post(f"{ACCOUNTS}add/", {**form, "password1": "abc", "password2": "abc"})
    assert "too short" in weak.content.decode()
    answer = admin.post(f"{ACCOUNTS}add/", {**form, "password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 302
    helper = Account.objects.get(username="helper")
    assert helper.email is None
    assert sessions_services.log_in(address="192.0.2.1", login="helper", password=PASSWORD)
    assert LogEntry.objects.get().is_addition()


def test_changing_ones_own_password_in_the_admin_ends_the_api_log_ins(
    admin: Client, chief: Account
) -> None:
    pair = sessions_services.log_in(address="192.0.2.1", login="chief", password=PASSWORD)
    form = {"new_password1": "brand new secret", "new_password2": "brand new secret"}
    admin.post("/admin/password_change/", {"old_password": PASSWORD, **form})
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)
    assert admin.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ada", {"Ada", "ada_2"}),
        ("ADA_", {"ada_2"}),
        ("@ada", {"Ada", "ada_2"}),
        ("da", set()),
        ("%", set()),
        ("_", set()),
        ("ADA@Example.org", {"Ada"}),
        ("example.org", set()),
        ("a\0b", None),
        ("\U0001f600", set()),
    ],
)
def test_searching_accounts(search: str, found: set[str] | None, admin: Client) -> None:
    AccountFactory(username="Ada", email="ada@example.org")
    AccountFactory(username="ada_2")
    page = admin.get(ACCOUNTS, {"q": search})
    assert page.status_code == 200
    if found is not None:
        assert {account.username for account in page.context["cl"].result_list} == found


def test_lists_do_not_count_everything(
    admin: Client, sql_statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twitter.base.admin.reasons.COUNTED_ROWS", 3)
    FollowFactory.create_batch(3)
    sql_statements.clear()
    for path in (ACCOUNTS, FOLLOWS, "/admin/admin/logentry/"):
        page = admin.get(path)
        assert page.context["cl"].result_count <= 3
    counts = [statement for statement in sql_statements if "COUNT(" in statement]
    assert counts
    assert all("LIMIT 3" in statement for statement in counts)


def test_follows_are_found_and_removed_with_a_reason(admin: Client, chief: Account) -> None:
    follow, other = FollowFactory(), FollowFactory()
    page = admin.get(FOLLOWS, {"q": follow.followed.username.upper()})
    assert list(page.context["cl"].result_list) == [follow]
    assert not admin.get(FOLLOWS, {"q": "nobody"}).context["cl"].result_list
    assert admin.get(f"{FOLLOWS}{follow.id}/change/").status_code == 200
    assert admin.get(f"{FOLLOWS}add/").status_code == 403
    assert admin.post(f"{FOLLOWS}{follow.id}/delete/", {"post": "yes"}).status_code == 403
    act(admin, FOLLOWS, "remove_follow", follow.id, reason="bought")
    assert list(Follow.objects.all()) == [other]
    assert LogEntry.objects.get().change_message == "Removed: bought"
    assert b'"followers_count":0' in facade.cards([follow.followed_id])[follow.followed_id]


def test_the_audit_log_cannot_be_changed(admin: Client, chief: Account) -> None:
    services.suspend(account_id=AccountFactory().id, by_id=chief.id, reason="spam")
    entry = LogEntry.objects.get()
    log = "/admin/admin/logentry/"
    assert admin.get(f"{log}add/").status_code == 403
    assert admin.post(f"{log}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.post(f"{log}{entry.pk}/change/", {"change_message": "x"}).status_code == 403
    act(admin, log, "delete_selected", entry.pk)
    assert LogEntry.objects.get() == entry


def test_without_a_reason_accounts_are_not_deleted_here(admin: Client) -> None:
    ada = AccountFactory()
    assert admin.post(f"{ACCOUNTS}{ada.id}/delete/", {"post": "yes"}).status_code == 403
    act(admin, ACCOUNTS, "delete_selected", ada.id)
    assert facade.visible([ada.id])


def test_too_many_selected_are_refused(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twitter.base.admin.reasons.MAX_SELECTED", 1)
    ids = [account.id for account in AccountFactory.create_batch(2)]
    page = act(admin, ACCOUNTS, "suspend", *ids, reason="spam").content.decode()
    assert "Select 1 at most." in page
    assert facade.visible(ids) == set(ids)


@pytest.mark.parametrize("bad", ["\u200b", "a\u202eb", "a\x1bb"])
@pytest.mark.parametrize("field", ["name", "bio", "reason"])
def test_what_others_read_has_the_same_rules_as_in_the_api(
    admin: Client, field: str, bad: str
) -> None:
    ada = AccountFactory(username="ada")
    before = Account.objects.values().get(pk=ada.pk)
    page = admin.post(f"{ACCOUNTS}{ada.pk}/change/", fields(ada, **{field: bad}))
    assert page.status_code == 200
    assert page.context["adminform"].form.errors.keys() == {field}
    assert Account.objects.values().get(pk=ada.pk) == before
    assert act(admin, ACCOUNTS, "suspend", ada.pk, reason=bad).context["form"].errors
    assert Account.objects.get(pk=ada.pk).is_active


def test_a_moderator_may_take_a_name_away(admin: Client) -> None:
    ada = AccountFactory(username="ada")
    form = fields(ada, name="", bio="Line one.\r\nA\u0308 two.")
    assert admin.post(f"{ACCOUNTS}{ada.pk}/change/", form).status_code == 302
    ada.refresh_from_db()
    assert (ada.name, ada.bio) == ("", "Line one.\nÄ two.")
    form = {"username": "eve", "name": "e\u0301ve", "password1": PASSWORD, "password2": PASSWORD}
    assert admin.post(f"{ACCOUNTS}add/", form).status_code == 302
    assert Account.objects.get(username="eve").name == "éve"
