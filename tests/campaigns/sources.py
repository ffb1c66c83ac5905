"""Data sets and published checkpoints that were damaged before Gauntlet meets them."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from outcomes import HARMLESS, LEFT, SILENT, WARNED, Section
from PIL import Image
from safetensors.torch import save_file

from gauntlet.datasets import open_split
from gauntlet.datasets.prepare import prepare_split
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.models import bare_network, build_model, load_model
from gauntlet.training.importing import import_checkpoint

CLASSES, COUNT = ["cat", "dog"], 20
LABELS = np.arange(COUNT) % 2
MODEL = {
    "model": "toy", "dataset": "toy", "input_shape": [3, 8, 8], "classes": 2, "normalization": None, "seed": 0,
    "architecture": {"name": "cnn", "layers": [{"layer": "linear", "units": 8}]},
}  # fmt: skip


def idx(array: np.ndarray) -> bytes:
    """Write bytes as an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def png(image: np.ndarray) -> bytes:
    """Write an image ``[H, W, 3]`` as a PNG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "png")
    return stream.getvalue()


def write_sources(root: Path, rng: random.Random) -> dict[str, tuple[DatasetSettings, Path]]:
    """Write one source of each layout; return its settings and the file that is to be damaged."""
    images = np.frombuffer(rng.randbytes(COUNT * 8 * 8 * 3), dtype=np.uint8).reshape(COUNT, 8, 8, 3)
    gray = images[..., 0]
    root.mkdir(parents=True)
    packed = gzip.compress(idx(gray))
    (root / "images.gz").write_bytes(packed)
    (root / "labels").write_bytes(idx(LABELS))
    records = [
        bytes([label]) + image.transpose(2, 0, 1).tobytes()
        for label, image in zip(LABELS, images, strict=True)
    ]
    (root / "batch.bin").write_bytes(b"".join(records))
    np.savez(root / "arrays.npz", images=images, labels=LABELS)
    with tarfile.open(root / "folder.tar.gz", "w:gz") as archive:
        for number, (label, image) in enumerate(zip(LABELS, images, strict=True)):
            member = tarfile.TarInfo(f"set/{CLASSES[label]}/{number:02}.png")
            content = png(image)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with tarfile.open(root / "folder.tar.gz") as archive:
        archive.extractall(root, filter="data")

    def settings(
        source: dict[str, Any], shape: tuple[int, int, int] = (3, 8, 8), **more: Any
    ) -> DatasetSettings:
        split = {"size": COUNT, "sources": [source], **more}
        return DatasetSettings.model_validate({"shape": shape, "classes": CLASSES, "splits": {"test": split}})

    published = {
        "url": "https://example.org/images.gz",
        "md5": hashlib.md5(packed).hexdigest(),
        "to": "images.gz",
    }
    gray_source = {"kind": "idx", "images": "images", "labels": "labels"}
    cifar = {"kind": "cifar_binary", "path": ".", "files": ["batch.bin"]}
    return {
        "IDX, gzip": (settings(gray_source, (1, 8, 8), downloads=[published]), root / "images.gz"),
        "CIFAR": (settings(cifar), root / "batch.bin"),
        "NumPy": (settings({"kind": "numpy_arrays", "path": "arrays.npz"}), root / "arrays.npz"),
        "archive": (settings({"kind": "image_folder", "path": "folder.tar.gz/set"}), root / "folder.tar.gz"),
        "image": (settings({"kind": "image_folder", "path": "set"}), root / "set/cat/04.png"),
    }


def damage(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a kind of damage and the damaged content."""
    place = rng.randrange(len(content))
    flipped = content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
    return rng.choice([
        (f"cut at {place}", content[:place]),
        (f"a bit of byte {place}", flipped),
        ("zeros", content[:place] + bytes(len(content) - place)),
        ("a page of a web server", b"<html>404</html>"),
        ("more bytes", content + b"more"),
    ])  # fmt: skip


def prepared(settings: DatasetSettings, root: Path, output: Path, whole: np.ndarray, section: Section) -> str:
    """Prepare a damaged source; return what became of it."""
    try:
        manifest = prepare_split(settings, "toy", "test", output, data_root=root)
    except Exception:
        if output.exists() or list(output.parent.glob(f".{output.name}*")):
            section.add(str(output), LEFT)
        raise
    if manifest["warnings"]:
        return WARNED
    return HARMLESS if np.array_equal(open_split(output).images, whole) else SILENT


def data_campaign(folder: Path, seed: int, count: int) -> Section:
    """Damage sources of data sets."""
    section, rng = Section("source of a data set"), random.Random(f"{seed} sources")
    sources = write_sources(folder / "whole", rng)
    whole = {}
    for name, (settings, _) in sources.items():
        prepare_split(settings, "toy", "test", folder / "right" / name, data_root=folder / "whole")
        whole[name] = np.array(open_split(folder / "right" / name).images)
    for number in range(count):
        name = rng.choice(list(sources))
        settings, file = sources[name]
        root = folder / str(number)
        shutil.copytree(folder / "whole", root)
        place = root / file.relative_to(folder / "whole")
        fault, content = damage(file.read_bytes(), rng)
        if name == "CIFAR" and len(content) == file.stat().st_size:
            # Nothing tells a pixel from another: its publisher gives no checksum of an unpacked batch.
            fault, content = "cut at a record", file.read_bytes()[: 193 * rng.randrange(1, COUNT)]
        place.write_bytes(content)

        def prepare(settings=settings, root=root, number=number, name=name) -> str:
            return prepared(settings, root, folder / f"out{number}", whole[name], section)

        section.attempt(f"{name}: {fault}", prepare)
        shutil.rmtree(root)
    return section


def checkpoint_campaign(folder: Path, seed: int, count: int) -> Section:
    """Damage published checkpoints, whose hash is known or not."""
    section, rng = Section("checkpoint"), random.Random(f"{seed} checkpoints")
    torch.manual_seed(seed)
    state = {
        name: torch.randn_like(tensor)
        for name, tensor in bare_network(build_model(MODEL)).state_dict().items()
    }
    writers: dict[str, Callable[[dict[str, torch.Tensor], Path], None]] = {
        "net.pt": torch.save,
        "legacy.pt": lambda tensors, file: torch.save(tensors, file, _use_new_zipfile_serialization=False),
        "net.safetensors": save_file,
    }
    image = torch.rand(2, 3, 8, 8)
    for number in range(count):
        name = rng.choice(list(writers))
        root = folder / f"checkpoints{number}"
        file = root / "checkpoints" / name
        file.parent.mkdir(parents=True)
        writers[name](state, file)
        settings = {"file": name, "page": "https://example.org", "format": "locuslab_cifar"}
        if rng.random() < 0.5:
            tensors = dict(state)
            key = rng.choice(list(tensors))
            odd = {
                "not a number": lambda t: t * float("nan"), "infinite": lambda t: t / 0, "whole": lambda t: t.int(),
                "another shape": lambda t: t.repeat(2, *[1] * (t.ndim - 1)),
            }  # fmt: skip
            fault = rng.choice([*odd, "missing"])
            tensors = {k: odd[fault](t) if k == key and fault in odd else t for k, t in tensors.items()}
            if fault == "missing":
                del tensors[key]
            writers[name](tensors, file)
        else:
            settings["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
            fault, content = damage(file.read_bytes(), rng)
            file.write_bytes(content)

        def take(settings=settings, root=root) -> str:
            specification = {**MODEL, "checkpoint": {**settings, "url": None}, "training": None}
            import_checkpoint(specification, root / "out", root, root / "downloads", root / "lock.json")
            return SILENT if load_model(root / "out")(image) is not None else HARMLESS

        section.attempt(f"{name}: {fault}", take)
        if (root / "out").exists():
            left = [path.name for path in (root / "out").iterdir()]
            if left and "manifest.json" not in left:
                section.add(f"{name}: {fault}", LEFT, str(left))
        shutil.rmtree(root)
    return section
