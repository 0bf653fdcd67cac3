"""An index for the notifications that a role has not read."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """While it is built everybody writes on."""

    atomic = False
    dependencies = [("agent_sessions", "0003_lists")]
    operations = [
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                fields=["to_role", "-created_at", "-id"],
                name="tasks_notices",
                condition=models.Q(status="pending", task_type="notification"),
            ),
        ),
    ]
