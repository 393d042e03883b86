"""Mails to people: plain text, to one address each, by Django's e-mail backend (EMAIL_URL)."""

from smtplib import SMTPException

from django.core.mail import EmailMessage

from accounts.models import Account

_REPLACED = """Hello,

the e-mail address of the account @{username} was changed. This address no longer belongs to it.

If you changed it, there is nothing to do. If you did not, somebody knows your password: log in with
your username, change the password, which ends all sessions, and set your address again. If you
cannot log in any more, ask the people who run this service.
"""


class NotSent(Exception):
    """A mail was not sent. Says only which kind of error it was: messages may quote the address."""


def tell_former_address(*, account_id: int, address: str) -> None:
    """Send a mail to the former `address`: the account has another one now. Raises NotSent.

    The mail does not name the new address. If the account is gone, no mail is sent.
    """
    username = Account.objects.filter(id=account_id).values_list("username", flat=True).first()
    if username is None:
        return
    message = EmailMessage(
        subject="Your e-mail address was changed",
        body=_REPLACED.format(username=username),
        to=[address],
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: no machine is to answer it
    )
    try:
        message.send()
    except (SMTPException, OSError, ValueError) as error:
        raise NotSent(type(error).__name__) from None
