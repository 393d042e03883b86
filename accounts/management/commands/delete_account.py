"""`manage.py delete_account USERNAME --by ADMIN --reason …`: delete somebody's account."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.moderation import services
from accounts.people import reads
from twitter.base import characters
from twitter.base.admin.reasons import MAX_REASON
from twitter.base.http.errors import DomainError


class Command(BaseCommand):
    help = (
        "Delete an account for ever, as its owner would: on a court's order perhaps, or for an"
        " owner who lost the password. The audit log keeps the administrator and the reason, but"
        " not whose account it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="whose account is to go, suspended or not")
        parser.add_argument("--by", required=True, metavar="ADMIN", help="a superuser's username")
        parser.add_argument("--reason", required=True, help="stays in the log: write no name in it")

    def handle(self, *args: Any, **options: Any) -> None:
        account_id = reads.resolve_username(options["username"])
        if account_id is None:
            raise CommandError(f"There is no user {options['username']}.")
        by_id = reads.resolve_username(options["by"])
        if by_id is None:
            raise CommandError(f"--by: there is no user {options['by']}.")
        try:
            reason = characters.lines(options["reason"], most=MAX_REASON)
        except ValidationError as error:
            raise CommandError(f"--reason: {error.message}") from error
        if not 0 < len(reason) <= MAX_REASON:
            raise CommandError(f"--reason: 1 to {MAX_REASON} characters.")
        try:
            services.delete_as_admin(account_id=account_id, by_id=by_id, reason=reason)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(
            f"Account {account_id} is deleted. What it left is cleared away in the background;"
            f" `manage.py verify_deletion {account_id}` tells some minutes later that it is gone."
        )
