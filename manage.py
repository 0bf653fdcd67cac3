#!/usr/bin/env python
"""Runs the project's commands: `python manage.py help`."""

import os
import sys


def main() -> None:
    """Hand the arguments to Django; a wrong setting is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        sys.exit(f"The configuration is wrong: {wrong}")


if __name__ == "__main__":
    main()
