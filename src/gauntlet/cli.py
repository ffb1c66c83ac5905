"""The command line beside Snakemake: what there is, what a run will take, and the schema for editors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gauntlet.configuration import Catalogue, load_catalogue, paths
from gauntlet.errors import ConfigurationError, GauntletError

EXAMPLES = """examples:
  gauntlet plan --config scale=full                what the published size takes, and what is missing
  gauntlet list --config scale=small works=song    every artefact of one work, with its path
  gauntlet bundle --config scale=full works=song   pack what was made into an archive, for others to redraw from
  gauntlet schema                                  write config/schema/*.json for editors
  gauntlet methods                                 write docs/methods.md, every attack, certificate and defence

Artefacts are made by Snakemake:
  snakemake --cores 4 reports/small/maerz2023/table-4-3.csv
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="gauntlet",
        description="Look at what Gauntlet can make before Snakemake makes it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("config"), help="configuration folder (default: config)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in (
        ("plan", "cost, disk and missing inputs of a whole run"),
        ("list", "every artefact with its path and whether it is made"),
        ("bundle", "pack what was made of a scale into one archive; data_root=<archive> takes it"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--config", nargs="*", default=[], metavar="KEY=VALUE", help="settings, as for snakemake --config"
        )
        if name == "bundle":
            command.add_argument(
                "--output", type=Path, metavar="FILE", help="archive to write (default: gauntlet-<scale>.zip)"
            )
    commands.add_parser("schema", help="write the JSON schema of the configuration files")
    commands.add_parser("methods", help="write the page of all attacks, certificates, measures and defences")
    options = parser.parse_args(arguments)
    try:
        if options.command == "schema":
            return _schema(options.folder)
        if options.command == "methods":
            return _methods(options.folder.parent / "docs" / "methods.md")
        catalogue = load_catalogue(options.folder, _overrides(options.config))
        if options.command == "bundle":
            return _bundle(catalogue, options.output or Path(f"gauntlet-{catalogue.scale}.zip"))
        return _plan(catalogue) if options.command == "plan" else _list(catalogue)
    except GauntletError as error:
        print(f"gauntlet: {error}", file=sys.stderr)
        return 1


def _overrides(pairs: Sequence[str]) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise ConfigurationError("settings are written KEY=VALUE", key="--config", found=pair)
        overrides[key] = value
    return overrides


def _plan(catalogue: Catalogue) -> int:
    from gauntlet.planning.availability import find_available
    from gauntlet.planning.plan import make_plan

    print(f"Plan at scale {catalogue.scale} for {', '.join(catalogue.works)}")
    print("\n".join(make_plan(catalogue, find_available(catalogue, fresh=True)).lines()))
    return 0


def _bundle(catalogue: Catalogue, output: Path) -> int:
    from gauntlet.bundle import write_bundle
    from gauntlet.planning.workflow import Workflow

    files = write_bundle(Workflow(catalogue), output)
    print(f"{output}: {len(files)} files, {output.stat().st_size / 2**20:.1f} MiB")
    return 0


def _list(catalogue: Catalogue) -> int:
    for work in catalogue.works.values():
        print(f"{work.name}: {work.about.title}")
        for name, entry in work.content.artefacts.items():
            file = paths.artefact_files(catalogue.scale, work.name, name)[
                0 if name.startswith("table-") else 1
            ]
            made = "made" if file.is_file() else "    "
            print(f"  {made}  {file}  {paths.artefact_label(name)}: {entry.title}")
        for name in work.content.models:
            file = paths.model_folder(catalogue.scale, catalogue.origins[name]) / "weights.safetensors"
            print(f"  {'made' if file.is_file() else '    '}  {file}")
        for name in work.content.evaluations:
            file = paths.evaluation_file(catalogue.scale, work.name, name)
            print(f"  {'made' if file.is_file() else '    '}  {file}")
    return 0


def _schema(folder: Path) -> int:
    from gauntlet.configuration.schema import write_schemas

    for file in write_schemas(folder / "schema"):
        print(file)
    return 0


def _methods(file: Path) -> int:
    from gauntlet.methods import methods_page

    file.write_text(methods_page(), encoding="utf-8")
    print(file)
    return 0
