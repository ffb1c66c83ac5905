"""Small real files for the tests of data sets."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Encode a uint8 image [H, W] or [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def image() -> Callable[..., bytes]:
    """Return a function that encodes a one-colored RGB image."""

    def make(value: int, size: tuple[int, int] = (4, 4), kind: str = "PNG") -> bytes:
        return encode(np.full((size[1], size[0], 3), value, dtype=np.uint8), kind)

    return make


@pytest.fixture
def write_files(tmp_path: Path) -> Callable[[Mapping[str, bytes]], Path]:
    """Return a function that writes files below a folder and returns the folder."""

    def write(files: Mapping[str, bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "data"

    return write


@pytest.fixture
def write_tar(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that packs files into an archive of the data folder."""

    def write(name: str, files: Mapping[str, bytes]) -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            for member, content in files.items():
                information = tarfile.TarInfo(member)
                information.size = len(content)
                archive.addfile(information, io.BytesIO(content))
        return path

    return write


@pytest.fixture
def write_zip(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that packs files into a zip archive of the data folder."""

    def write(name: str, files: Mapping[str, bytes]) -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        return path

    return write
