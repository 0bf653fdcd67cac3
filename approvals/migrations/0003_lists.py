"""Indexes for lists at any size: one walk per role and state."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agent_sessions', '0003_lists'),
        ('approvals', '0002_guards'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='approval',
            name='approvals_by_status',
        ),
        migrations.RemoveIndex(
            model_name='approval',
            name='approvals_from_role',
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['status', '-created_at', '-id'], include=('expires_at',), name='approvals_by_status'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['approver_role', '-created_at', '-id'], name='approvals_asked_of'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['from_role', '-created_at', '-id'], include=('approver_role',), name='approvals_asked_by'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['approver_role', 'status', '-created_at', '-id'], include=('expires_at',), name='approvals_of_role'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['from_role', 'status', '-created_at', '-id'], include=('expires_at', 'approver_role'), name='approvals_from_role'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['from_role', 'expires_at', 'id'], name='approvals_asked'),
        ),
    ]
