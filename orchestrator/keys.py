"""The secrets that a development machine makes for itself, once, under ORCHESTRATOR_HOME."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def own_secret(home: Path, name: str, make: Callable[[], str]) -> str:
    """The secret kept in the file `name` of `home`, made by `make` if there is none; readable by the owner alone."""
    path = home / name
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        _publish(path, make())
    return path.read_text()


def _publish(path: Path, secret: str) -> None:
    """Write the whole file, then link it into place: of two processes at once, the first one's stays."""
    handle, draft = tempfile.mkstemp(dir=path.parent)  # mkstemp: mode 0600
    with os.fdopen(handle, "w") as file:
        file.write(secret)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
