"""Locks between processes that need no cleaning up: `flock` on files that stay in place."""

from __future__ import annotations

import fcntl
import os
import pwd
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from walletsvc.core.errors import ConfigurationError

_POLL_SECONDS: Final = 0.02


def make_folder(folder: Path) -> None:
    """Make `folder` for this user only (0700) unless it exists; what exists is left as it is.

    Folders above it get the usual permissions. Raises ConfigurationError naming
    WALLETSVC_DATA_DIR.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(f"WALLETSVC_DATA_DIR: {folder} is not a directory.") from error
    except OSError as error:
        raise ConfigurationError(
            f"WALLETSVC_DATA_DIR: {folder} cannot be used: {error.strerror}."
        ) from error


def make_private(folder: Path) -> None:
    """Make `folder` unless it exists, check that it is ours, and close it to others (0700).

    Only for folders that nobody but us has reason to use. Raises ConfigurationError.
    """
    make_folder(folder)
    status = folder.stat()
    if os.geteuid() not in (0, status.st_uid):
        raise ConfigurationError(
            f"WALLETSVC_DATA_DIR: {folder} belongs to the user {_user_name(status.st_uid)}: "
            "run walletsvc as that user or choose another directory."
        )
    if status.st_mode & 0o777 != 0o700:
        folder.chmod(0o700)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class FileLock:
    """A lock on one file, held by this process alone: forked and started children let go of it.

    Children started by `exec` never get the descriptor (it is close-on-exec); children that only
    fork close theirs, which leaves the parent's lock in place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        _locks.add(self)

    @property
    def held(self) -> bool:
        """Whether this process holds the lock."""
        return self._descriptor is not None

    def take_shared(self) -> None:
        """Hold the lock together with others; waits for an exclusive holder."""
        fcntl.flock(self._open(), fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Hold the lock alone; when somebody else holds it, hold nothing and answer False.

        A shared hold is given up by trying, whatever the answer.
        """
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except BaseException:
            self.release()
            raise
        return True

    @contextmanager
    def alone(self, timeout: float) -> Iterator[None]:
        """Hold the lock alone for a block; TimeoutError after `timeout` seconds of waiting."""
        deadline = time.monotonic() + timeout
        while not self.try_exclusive():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path} is held by another process")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let go; the file stays, for removing it would split later holders from waiting ones."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def note(self, text: str) -> None:
        """Write `text` into the file, for whoever is refused."""
        descriptor = self._open()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, 0o600)
            self._give_to_folder_owner(self._descriptor)
        return self._descriptor

    def _give_to_folder_owner(self, descriptor: int) -> None:
        """Root may lock first; the folder's owner must still be able to lock later."""
        owner = self.path.parent.stat()
        if os.geteuid() == 0 and os.fstat(descriptor).st_uid != owner.st_uid:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_after_fork() -> None:
    for lock in _locks:
        lock.release()


os.register_at_fork(after_in_child=_forget_after_fork)


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[None]:
    """Be the only `name` on `folder` for a block, across processes.

    The folder is made (0700) when missing. Raises ConfigurationError when another process holds
    it, saying which. The kernel forgets a holder that dies.
    """
    make_folder(folder)
    lock = FileLock(folder / f"{name}.lock")
    try:
        if not lock.try_exclusive():
            holder = lock.path.read_text().strip()
            raise ConfigurationError(
                f"another walletsvc is already running on {folder}"
                + (f" (pid {holder})" if holder else "")
            )
        lock.note(f"{os.getpid()}\n")
    except OSError as error:
        lock.release()
        raise ConfigurationError(
            f"WALLETSVC_DATA_DIR: {lock.path} cannot be written: {error.strerror}."
        ) from error
    try:
        yield
    finally:
        lock.release()
