"""A project that holds only what `serve` needs, around the real command: small, and easy to break on purpose."""

import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OURS = ("api/waiting.py", "children.py", "gunicorn.py", "embedded", "management/commands/serve.py", "management/commands/reset.py")

SETTINGS = """
import os
from pathlib import Path
import dj_database_url
from orchestrator import embedded
BASE_DIR = Path(__file__).parent.parent
ORCHESTRATOR_HOME = BASE_DIR / "var"
HOST, PORT, PUBLIC_URL, ALLOWED_HOSTS = "127.0.0.1", int(os.environ["PORT"]), "", ["127.0.0.1"]
DATABASE_URL = os.environ.get("DATABASE_URL")
DEPLOYMENT = bool(DATABASE_URL)
EMBEDDED_DATABASE = EMBEDDED_REDIS = DEMO = not DEPLOYMENT
STATIC_URL, STATIC_ROOT = "static/", ORCHESTRATOR_HOME / "static"
DATABASES = {"default": dj_database_url.parse(DATABASE_URL or embedded.database_url(ORCHESTRATOR_HOME))}
SECRET_KEY = "for a test"
ROOT_URLCONF = "orchestrator.urls"
INSTALLED_APPS = ["orchestrator", "django.contrib.contenttypes", "django.contrib.staticfiles"]
"""
URLS = """
import os, time
from django.db import connection
from django.http import HttpResponse
from django.urls import path
def livez(request):
    return HttpResponse(str(os.getppid()))
def health(request):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_content_type")
    except Exception:
        connection.close()
        return HttpResponse("unhealthy", status=503)
    return HttpResponse("healthy")
def slow(request):
    time.sleep(1)
    return HttpResponse("finished")
urlpatterns = [path("livez", livez), path("health", health), path("slow", slow)]
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
application = get_wsgi_application()
"""
DEMO = """
from django.core.management import BaseCommand
class Command(BaseCommand):
    def handle(self, **options):
        self.stdout.write("The demo is seeded.")
"""
EXPIRE = """
import os, time
from django.core.management import BaseCommand
class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--loop")
    def handle(self, **options):
        print("expiry", os.getpid(), flush=True)
        time.sleep(600)
"""


def make_small_project(folder: Path) -> None:
    """Write it into an empty folder."""
    package = folder / "orchestrator"
    (package / "management/commands").mkdir(parents=True)
    for name in ("api", "migrations"):
        (package / name).mkdir()
    for name in ("", "api/", "management/", "management/commands/", "migrations/"):
        (package / name / "__init__.py").touch()
    stubs = {"settings.py": SETTINGS, "urls.py": URLS, "wsgi.py": WSGI}
    stubs |= {"management/commands/demo.py": DEMO, "management/commands/expire.py": EXPIRE}
    for name, text in stubs.items():
        (package / name).write_text(text)
    for name in OURS:
        (package / name).symlink_to(PROJECT / "orchestrator" / name)
    shutil.copy(PROJECT / "manage.py", folder)  # a link would lead Python to our own packages
