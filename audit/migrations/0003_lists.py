"""Indexes for lists at any size: one walk per role and state."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0002_guards'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_events_type',
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['event_type', '-timestamp', '-id'], name='audit_events_type'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['role', '-timestamp', '-id'], name='audit_events_role'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['actor', '-timestamp', '-id'], name='audit_events_actor'),
        ),
    ]
