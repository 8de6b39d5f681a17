"""What takes long to make, and is the same for every run: made once, beside the gatehouse that is tested."""

import fcntl
import hashlib
import pathlib
import shutil
import tempfile

from harness import BINARY


def built_once(name, origin, make):
    """The folder that `make(folder)` has filled, for these bytes of origin. Two test runs may want it at once."""
    home = pathlib.Path(BINARY).resolve().parent / "built_once" / name
    home.mkdir(parents=True, exist_ok=True)
    folder = home / hashlib.sha256(origin).hexdigest()[:16]
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for old in home.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            new = pathlib.Path(tempfile.mkdtemp(dir=home))
            make(new)
            new.rename(folder)
    return folder
