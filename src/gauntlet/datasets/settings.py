"""The grammar of ``config/datasets.yaml``: shape, classes and, for every split, where it may come from.

A *source* describes one layout in which a split is found. Its paths are looked up first under the user's
``data_root``, then under the folder of downloads; a path may lead into an archive
(``cifar10.tar.gz/cifar10/train``). A *download* brings one file into the folder of downloads.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import DataPath, PathBelow, PositiveInt

SplitName = Literal["train", "test"]

Resize = Literal["stretch", "square"] | PositiveInt | None
"""Rule by which an image of another size is brought to the data set's height and width.

``None``: not at all, the size must agree. ``stretch``: scaled to it, whatever its aspect. ``square``: the
largest centred square is cut out, then scaled. A number: the shorter side is scaled to that many pixels, then
the centre is cut out. Scaling is bilinear with antialiasing.
"""

Order = Literal["shuffled", "name"]
"""Order of the images of a folder: a fixed shuffle, so that any first part of it has every class, or by file
name, which is the order of the official test sets."""


class _Strict(BaseModel):
    """A mapping whose unknown keys are refused. Numbers may stand where names are expected."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class EmbeddedDigits(_Strict):
    """5,000 MNIST digits that ship inside a Python package, in gray or as a color composite."""

    kind: Literal["embedded_digits"]
    variant: Literal["gray", "rgb"] = "gray"


class Idx(_Strict):
    """Two IDX files, MNIST's format, plain or gzip-compressed (``.gz`` may be left out)."""

    kind: Literal["idx"]
    images: DataPath
    labels: DataPath


class CifarBinary(_Strict):
    """CIFAR's binary version: records of ``label_bytes`` labels, the last of which counts, and the pixels."""

    kind: Literal["cifar_binary"]
    path: DataPath
    files: list[PathBelow] = Field(min_length=1)
    label_bytes: PositiveInt = 1


class ImageFolder(_Strict):
    """A folder, or a folder inside an archive, with one sub-folder of images per class."""

    kind: Literal["image_folder"]
    path: DataPath
    resize: Resize = None
    order: Order = "shuffled"


class ImageTable(_Strict):
    """A folder of images, or one inside an archive, and a table that names their classes.

    The images keep the table's order. A column is named by the table's first line or, for a table without
    such a line, numbered from 0.
    """

    kind: Literal["image_table"]
    path: DataPath
    table: DataPath
    delimiter: str = Field(",", min_length=1, max_length=1)
    file_column: str | int
    class_column: str | int
    resize: Resize = None

    @model_validator(mode="after")
    def _both_columns_alike(self) -> ImageTable:
        if type(self.file_column) is not type(self.class_column):
            raise ValueError("file_column and class_column are both names or both numbers")
        return self


class ImageNetValidation(_Strict):
    """The ILSVRC 2012 validation images, flat or one folder per WordNet id, classes sorted by that id.

    A flat folder or archive needs the development kit, which holds the labels.
    """

    kind: Literal["imagenet_validation"]
    path: DataPath
    devkit: DataPath
    resize: Resize = 256


class NumpyArrays(_Strict):
    """An npz file of two plain arrays: ``images``, uint8 ``[N, H, W, C]``, and ``labels``, integers ``[N]``."""

    kind: Literal["numpy_arrays"]
    path: DataPath


Source = Annotated[
    EmbeddedDigits | Idx | CifarBinary | ImageFolder | ImageTable | ImageNetValidation | NumpyArrays,
    Field(discriminator="kind"),
]


class Download(_Strict):
    """One file to fetch. It is kept under ``to`` in the folder of downloads."""

    url: str = Field(pattern=r"^https?://[^/]+/.+")
    md5: str = Field(pattern=r"^[0-9a-f]{32}$")
    to: str

    @model_validator(mode="after")
    def _stays_inside(self) -> Download:
        target = PurePosixPath(self.to)
        if target.is_absolute() or ".." in target.parts or not target.name:
            raise ValueError("`to` is a path below the folder of downloads")
        return self

    @property
    def host(self) -> str:
        """The host that serves the file."""
        return urlsplit(self.url).netloc


class SplitSettings(_Strict):
    """Source of one split.

    Settings:
        size: number of images of the official split; another number is noted in the manifest.
        sources: layouts, tried in order.
        downloads: files to fetch where no source is found; together they make one of the sources.
        obtain: how the user gets the data, for a split that cannot be downloaded.
    """

    size: PositiveInt | None = None
    sources: list[Source] = Field(min_length=1)
    downloads: list[Download] = []
    obtain: str = ""


class DatasetSettings(_Strict):
    """One entry of ``config/datasets.yaml``.

    Settings:
        shape: channels (1 or 3), height, width of every image.
        classes: the names of the classes in the order of their labels (folders of other names are left out),
            or their number (names are then the sorted folder names, or numbers).
        licence: terms of use and whom to credit.
        splits: ``train``, ``test``, or one of them.
    """

    shape: tuple[Literal[1, 3], PositiveInt, PositiveInt]
    classes: Annotated[int, Field(ge=2)] | Annotated[list[str], Field(min_length=2)]
    licence: str = ""
    splits: dict[SplitName, SplitSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct_classes(self) -> DatasetSettings:
        if isinstance(self.classes, list) and len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes have the same name")
        return self

    @property
    def class_count(self) -> int:
        """Number of classes."""
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes where the settings give them."""
        return self.classes if isinstance(self.classes, list) else None

    def split(self, name: str) -> SplitSettings:
        """Return one split; raises ConfigurationError where the data set has none of that name."""
        for known, settings in self.splits.items():
            if known == name:
                return settings
        raise ConfigurationError(
            "the data set has no such split",
            key="split",
            found=name,
            valid=f"one of {', '.join(self.splits)}",
        )

    def specification(self, split: str) -> dict[str, Any]:
        """Write out what the preparation of one split depends on, as the JSON that validates again."""
        only = self.model_copy(update={"splits": {split: self.split(split)}})
        return only.model_dump(mode="json")
