from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('outbox', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='traceparent',
            field=models.CharField(blank=True, help_text='The span that caused it, when it is traced (W3C Trace Context).', max_length=55, null=True),
        ),
    ]
