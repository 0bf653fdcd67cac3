"""Indexes for lists at any size: one walk per role and state."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agent_sessions', '0002_guards'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='session',
            name='sessions_by_status',
        ),
        migrations.RemoveIndex(
            model_name='task',
            name='tasks_from_role',
        ),
        migrations.AddIndex(
            model_name='session',
            index=models.Index(fields=['status', '-created_at', '-id'], include=('updated_at',), name='sessions_by_status'),
        ),
        migrations.AddIndex(
            model_name='session',
            index=models.Index(fields=['role', 'status', '-created_at', '-id'], include=('updated_at',), name='sessions_of_role'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['to_role', '-created_at', '-id'], include=('task_type',), name='tasks_to_role'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['from_role', '-created_at', '-id'], include=('to_role', 'task_type'), name='tasks_from_role'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['from_role', 'status', '-created_at', '-id'], include=('to_role',), name='tasks_sent'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['status', '-created_at', '-id'], name='tasks_by_status'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['task_type', '-created_at', '-id'], name='tasks_by_type'),
        ),
    ]
