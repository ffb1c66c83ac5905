"""Bundles: results of a run in one archive, described as an RO-Crate, from which figures are redrawn elsewhere.

A bundle holds networks, tables of evaluations and reports, each with its SHA-256, and no images of a data set beyond
those that evaluations kept. What comes out of one is data: nothing in it is run, and no path leads out of ``results``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from gauntlet.configuration import paths
from gauntlet.errors import DataError
from gauntlet.models import LAST_WEIGHTS
from gauntlet.planning.workflow import Workflow
from gauntlet.runtime.checksums import verify
from gauntlet.runtime.files import atomic_path, file_sha256
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import code_version

METADATA = "ro-crate-metadata.json"
CHECKSUMS = "manifest-sha256.txt"
"""As ``sha256sum`` writes it."""

MOST_FILES = 100_000
MOST_RATIO = 1_000
"""Limits on what is unpacked: the number of files, and how often larger than packed a file may be."""

_KINDS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npz": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".tex": "text/x-tex",
}
_UNPACKED = (".json", ".npz", ".parquet", ".safetensors")
_BLOCK = 1 << 20


def write_bundle(workflow: Workflow, output: Path) -> list[Path]:
    """Pack what was made of a scale: networks, evaluations, tables, figures.

    Args:
        workflow: the jobs of the scale.
        output: a zip file.

    Returns:
        The files that were packed.

    Raises:
        DataError: nothing was made yet, or a file is damaged.
    """
    files = sorted(set(_made(workflow)))
    if not files:
        raise DataError(
            f"nothing was made at scale {workflow.scale} yet; make something first, then bundle it"
        )
    for file in files:
        if file.suffix in (".json", ".parquet", ".npz"):
            verify(file)
    hashes = {file.as_posix(): file_sha256(file) for file in files}
    with (
        atomic_path(output) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for file in files:
            archive.write(file, file.as_posix())
        archive.writestr(CHECKSUMS, "".join(f"{sha256}  {name}\n" for name, sha256 in hashes.items()))
        archive.writestr(METADATA, json.dumps(_description(workflow, hashes), indent=2) + "\n")
    return files


def unpack_bundle(file: Path, folder: Path) -> list[Path]:
    """Put the results of a bundle where a run of its scale would have made them; what is there already stays.

    Args:
        file: the bundle.
        folder: the working directory.

    Returns:
        The files that were written.

    Raises:
        DataError: it is damaged, or holds what no bundle holds.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return list(_unpack(file, archive, folder))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{file} is no bundle, or truncated or damaged ({error}); get it again") from error


def _unpack(file: Path, archive: zipfile.ZipFile, folder: Path) -> Iterator[Path]:
    members = {member.filename: member for member in archive.infolist()}
    listed: dict[str, str] = {}
    for line in archive.read(CHECKSUMS).decode().splitlines():
        sha256, _, name = line.partition("  ")
        listed[name] = sha256
    if len(members) > MOST_FILES:
        raise DataError(f"{file} has more than {MOST_FILES:,} files, which is refused")
    wanted = {name: sha256 for name, sha256 in listed.items() if name.startswith(f"{paths.RESULTS}/")}
    for name in wanted:
        _check_name(file, name, members)
    size = sum(members[name].file_size for name in wanted)
    if size > shutil.disk_usage(folder).free:
        raise DataError(f"there is no room for the {size >> 20:,} MiB of {file}; free some space")
    # One time for all: an evaluation that is older than its network would be run again.
    now = time.time()
    for name, sha256 in wanted.items():
        target = folder / name
        if target.exists():
            continue
        with atomic_path(target) as temporary:
            digest = hashlib.sha256()
            with archive.open(members[name]) as source, temporary.open("wb") as stream:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    stream.write(block)
            if digest.hexdigest() != sha256:
                raise DataError(f"{name} in {file} is not what its checksum says; get the bundle again")
            os.utime(temporary, (now, now))
        yield target
    log(f"Took the results of {file}; what was here already stayed")


def _check_name(file: Path, name: str, members: dict[str, zipfile.ZipInfo]) -> None:
    path = PurePosixPath(name)
    if name not in members:
        raise DataError(f"{file} lacks {name}, which its list of checksums names; get it again")
    if path.is_absolute() or ".." in path.parts or "\\" in name or path.suffix not in _UNPACKED:
        raise DataError(f"{file} holds {name!r}, which belongs to no results and is refused")
    packed, size = max(members[name].compress_size, 1), members[name].file_size
    if size > _BLOCK and size > MOST_RATIO * packed:
        raise DataError(f"{file} holds {name!r}, which unpacks to {size >> 20:,} MiB and is refused")


def _made(workflow: Workflow) -> Iterator[Path]:
    """Yield the files of a scale that are there."""
    scale, catalogue = workflow.scale, workflow.catalogue
    for name in dict.fromkeys(catalogue.origins.values()):
        files = paths.model_files(scale, name)
        if all(file.is_file() for file in files):
            yield from files
            yield from _existing([files[0].with_name(LAST_WEIGHTS)])
    for work, content in catalogue.works.items():
        for name in content.content.evaluations:
            table = paths.evaluation_file(scale, work, name)
            yield from _existing([table, table.with_suffix(".npz")])
        for name in content.content.artefacts:
            files = [*paths.artefact_files(scale, work, name), paths.artefact_meta(scale, work, name)]
            yield from _existing(files)
        verdicts = paths.claims_file(scale, work)
        yield from _existing([verdicts, verdicts.with_suffix(".md"), paths.work_page(scale, work)])
    yield from _existing([paths.index_page(scale)])


def _existing(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.is_file()]


def _description(workflow: Workflow, hashes: dict[str, str]) -> dict[str, Any]:
    """Return the description of a bundle as an RO-Crate 1.1 has it."""
    works = workflow.catalogue.works
    now = datetime.now(UTC).isoformat(timespec="seconds")
    references = [{"@id": name} for name in hashes]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Results of Gauntlet at scale {workflow.scale}: {', '.join(works)}",
        "description": "Networks, tables of evaluations, tables and figures, with the provenance of each in its "
        "manifest. Kept images come from the data sets, under their licences.",
        "datePublished": now,
        "license": {"@id": "https://spdx.org/licenses/MIT"},
        "hasPart": references,
        "mentions": {"@id": "#run"},
    }
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"gauntlet bundle, scale {workflow.scale}, seed {workflow.catalogue.settings.seed}",
        "endTime": now,
        "instrument": {"@id": "#gauntlet"},
        "result": references,
    }
    files = [
        {
            "@id": name,
            "@type": "File",
            "name": Path(name).name,
            "contentSize": str(Path(name).stat().st_size),
            "encodingFormat": _KINDS[Path(name).suffix],
            "sha256": sha256,
        }
        for name, sha256 in hashes.items()
    ]
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            root,
            run,
            {
                "@id": "#gauntlet",
                "@type": "SoftwareApplication",
                "name": "Gauntlet",
                "softwareVersion": code_version(),
            },
            *(
                {
                    "@id": f"#{name}",
                    "@type": "ScholarlyArticle",
                    "name": work.about.document.title,
                    "author": work.about.document.author,
                }
                for name, work in works.items()
            ),
            *files,
        ],
    }
