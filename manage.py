#!/usr/bin/env python
"""Runs the project's commands: `python manage.py help`."""

import os
import sys


def main() -> None:
    """Hand the arguments to Django; a wrong setting or a database that is away is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        sys.exit(f"The configuration is wrong: {wrong}")
    except OperationalError as away:
        sys.exit(f"The database does not answer ({str(away).strip()}).\nThe embedded one runs while `make run` does, in another terminal.")


if __name__ == "__main__":
    main()
