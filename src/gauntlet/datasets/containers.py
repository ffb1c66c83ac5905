"""Folders and archives read alike: names of files, then their bytes, one after the other.

Nothing is ever extracted, so that no archive can write outside its place or leave half of itself behind.
An archive with a member that could only be meant to do so (an absolute path, ``..``, a link, a device) is
refused whole.
"""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Protocol

from gauntlet.errors import DataError

MOST_MEMBERS = 2_000_000
MOST_BYTES = 1 << 30
"""Limits on an archive: the number of its members, and the size of one that is read. ImageNet's training set
has 1.3 million files; the largest file that is read whole, CIFAR-100's training records, has 154 MB."""

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
"""Errors that the readers of archives raise for a truncated or altered one."""


class Container(Protocol):
    """A folder or an archive. Names are relative, with ``/``; hidden files are left out."""

    @property
    def path(self) -> Path:
        """Path of the container."""

    def names(self, under: str) -> list[str]:
        """Return the names of the regular files below the folder ``under`` (``""``: all), unsorted."""

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each of these files, in the order that is quickest to read."""


@dataclass(frozen=True)
class Place:
    """A file or folder, perhaps inside an archive.

    Attributes:
        container: the folder or archive.
        inside: name in it; ``""`` is its root.
    """

    container: Container
    inside: str

    def __str__(self) -> str:
        """Write it as one path."""
        return str(self.container.path / self.inside)

    def content(self) -> bytes:
        """Return the content of the one file at this place."""
        for _, content in self.container.read([self.inside]):
            return content
        raise DataError(f"{self.container.path} does not hold {self.inside}")


def locate(root: Path | None, path: str) -> Place | None:
    """Find ``root/path``, which may lead into an archive, or None where it does not exist.

    Whether an archive holds the rest of the path is only known when it is read. An absolute path needs no
    root.
    """
    if root is None and not Path(path).is_absolute():
        return None
    whole = (root or Path("/")) / path
    if whole.is_dir():
        return Place(Folder(whole), "")
    if whole.is_file() and not _is_archive(whole):
        return Place(Folder(whole.parent), whole.name)
    for archive in (whole, *whole.parents):
        if archive.is_file() and _is_archive(archive):
            inside = whole.relative_to(archive).as_posix()
            container = Zip(archive) if archive.name.endswith(".zip") else Tar(archive)
            return Place(container, "" if inside == "." else inside)
    return None


def _is_archive(path: Path) -> bool:
    return path.name.endswith((*_TAR_SUFFIXES, ".zip"))


@dataclass(frozen=True)
class Folder:
    """A folder of the file system. Links are followed: the user has put them there."""

    path: Path

    def names(self, under: str) -> list[str]:  # noqa: D102
        found, seen = [], set()
        for directory, folders, files in os.walk(self.path / under, followlinks=True):
            here = Path(directory)
            if here.resolve() in seen:
                folders.clear()
                continue
            seen.add(here.resolve())
            found += [(here / name).relative_to(self.path).as_posix() for name in files]
        return [name for name in found if not _hidden(name)]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        for name in names:
            path = self.path / name
            try:
                _refuse_large(path, path.stat().st_size)
                content = path.read_bytes()
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}") from error
            yield name, content


@dataclass(frozen=True)
class Tar:
    """A tar archive, compressed or not."""

    path: Path

    def names(self, under: str) -> list[str]:  # noqa: D102
        return [name for name, _, _ in self._members() if _below(name, under) and not _hidden(name)]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        wanted = set(names)
        for name, archive, member in self._members():
            if name in wanted:
                _refuse_large(self.path / name, member.size)
                stream = archive.extractfile(member)
                assert stream is not None, "a regular file has content"
                with _explained(self.path):
                    content = stream.read()
                yield name, content

    def _members(self) -> Iterator[tuple[str, tarfile.TarFile, tarfile.TarInfo]]:
        with _explained(self.path), tarfile.open(self.path, "r:*") as archive:
            for number in count():
                member = archive.next()
                if member is None:
                    break
                if number >= MOST_MEMBERS:
                    raise DataError(f"{self.path} has more than {MOST_MEMBERS:,} members, which is refused")
                if member.isdir():
                    _safe_name(self.path, member.name)
                elif member.isreg():
                    yield _safe_name(self.path, member.name), archive, member
                else:
                    raise DataError(f"{self.path} holds {member.name}, a link or device, which is refused")
                # The list that tarfile keeps of what it has read would grow with the archive.
                archive.members.clear()  # type: ignore[attr-defined]
            # A compressed file carries its checksum behind the last member: read on until it is checked.
            assert archive.fileobj is not None, "an open archive has a file"
            while archive.fileobj.read(1 << 20):
                pass


@dataclass(frozen=True)
class Zip:
    """A zip archive. The checksum of every member that is read is verified."""

    path: Path

    def names(self, under: str) -> list[str]:  # noqa: D102
        with _explained(self.path), zipfile.ZipFile(self.path) as archive:
            members = self._members(archive)
        return [name for name in members if _below(name, under) and not _hidden(name)]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        with _explained(self.path), zipfile.ZipFile(self.path) as archive:
            members = self._members(archive)
            for name in names:
                if name in members:
                    _refuse_large(self.path / name, members[name].file_size)
                    yield name, archive.read(members[name])

    def _members(self, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise DataError(f"{self.path} has more than {MOST_MEMBERS:,} members, which is refused")
        found = {}
        for member in members:
            name = _safe_name(self.path, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{self.path} holds {member.filename}, a link or device, which is refused")
            if member.flag_bits & 1:
                raise DataError(
                    f"{self.path} holds {member.filename}, which is encrypted; decrypt the archive first"
                )
            if not member.is_dir():
                found[name] = member
        return found


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the standard library raises over an archive into a DataError that names it and the remedy."""
    try:
        yield
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    # Raised by zipfile itself over a packing it does not know, such as the Deflate64 that Windows may use.
    except NotImplementedError as error:
        raise DataError(
            f"{path} is packed in a way that Python cannot read ({error}); unpack it by other means"
        ) from error
    except _DAMAGED as error:
        raise DataError(f"{path} is truncated or damaged ({error}); get it again") from error


def _refuse_large(name: Path, size: int) -> None:
    """Refuse a file before it fills the memory. No archive unpacks more of a member than it announces."""
    if size > MOST_BYTES:
        raise DataError(f"{name} has {size >> 20:,} MiB, more than the {MOST_BYTES >> 20:,} that are read")


def _safe_name(archive: Path, name: str) -> str:
    """Return a member's name without ``./``; raises DataError for one that leads out of the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{archive} holds a member {name!r} that leads out of it, which is refused")
    return path.as_posix()


def _below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder.rstrip('/')}/")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
