from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Apart from the columns: an index that is made while others write needs no transaction."""

    atomic = False

    dependencies = [
        ('accounts', '0006_homes_changed'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='account',
            index=models.Index(
                condition=models.Q(('followers_homes_changed_at__isnull', False)),
                fields=['followers_homes_changed_at'],
                name='accounts_homes_changed',
            ),
        ),
    ]
