"""An index for what became of somebody's latest requests."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """While it is built everybody writes on."""

    atomic = False
    dependencies = [("approvals", "0003_lists")]
    operations = [
        AddIndexConcurrently(model_name="approval", index=models.Index(fields=["requested_by", "-created_at"], name="approvals_asker")),
    ]
