"""Execute a work's notebook (a jupytext percent script) into its page."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from gauntlet.errors import ConfigurationError
from gauntlet.reporting.pages import render_page
from gauntlet.runtime.files import write_text

_HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)<')

PARAMETERS_TAG = "parameters"
"""Tag of the cell whose values the execution replaces, as papermill does."""


def execute_notebook(
    notebook: Path, page: Path, *, work: str, scale: str, reports: Path, timeout: int = 600
) -> None:
    """Run a notebook with this interpreter and write its outputs as a self-contained page.

    Args:
        notebook: percent script with one cell tagged ``parameters``.
        page: HTML file to write.
        work: the work's name.
        scale: demo, small or full.
        reports: the folder that holds one folder per scale.
        timeout: most seconds that one cell may take.

    Raises:
        RuntimeError: a cell failed; the message names the notebook and the error.
    """
    import jupytext
    from nbclient.exceptions import CellExecutionError

    document = jupytext.read(notebook)
    inject_parameters(document, notebook, work=work, scale=scale, reports=str(reports.resolve()))
    try:
        _run(document, timeout)
    except CellExecutionError as error:
        raise RuntimeError(f"{notebook.name}: a cell failed with {error.ename}: {error.evalue}") from error
    title = next(
        (line[2:] for cell in document.cells for line in cell.source.splitlines() if line.startswith("# ")),
        work,
    )
    body = _body(document)
    html = render_page(
        "work.html",
        work=work,
        scale=scale,
        title=title,
        body=body,
        contents=_HEADING.findall(body),
        notebook=notebook.name,
    )
    write_text(page, html)


def inject_parameters(document: Any, notebook: Path, **values: str) -> None:
    """Put a cell with the given values behind the one tagged ``parameters``."""
    from nbformat.v4 import new_code_cell

    for position, cell in enumerate(document.cells):
        if PARAMETERS_TAG in cell.metadata.get("tags", ()):
            source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
            document.cells.insert(position + 1, new_code_cell(source))
            return
    raise ConfigurationError(
        "a notebook needs a cell for its parameters", file=notebook, valid='# %% tags=["parameters"]'
    )


def _run(document: Any, timeout: int) -> None:
    """Execute all cells in a kernel of this environment, whatever kernels are installed elsewhere."""
    from ipykernel.kernelspec import write_kernel_spec
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory(prefix="gauntlet-") as name:
        folder = Path(name)
        write_kernel_spec(str(folder / "kernels" / "gauntlet"))
        specs = KernelSpecManager(kernel_dirs=[str(folder / "kernels")])
        # Sockets in the folder instead of ports: kernels of parallel jobs cannot meet.
        manager = AsyncKernelManager(
            kernel_name="gauntlet",
            kernel_spec_manager=specs,
            transport="ipc",
            connection_file=str(folder / "kernel.json"),
        )
        client = NotebookClient(
            document, km=manager, timeout=timeout, resources={"metadata": {"path": str(Path.cwd())}}
        )
        client.execute(cleanup_kc=True, env={**os.environ, "IPYTHONDIR": name, "JUPYTER_RUNTIME_DIR": name})


def _body(document: Any) -> Any:
    """Return the outputs and texts of a notebook as HTML without any head, script or style."""
    from markupsafe import Markup
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    settings = {"exclude_input": True, "exclude_input_prompt": True, "exclude_output_prompt": True}
    exporter = HTMLExporter(
        template_name="basic", config=Config({"TemplateExporter": settings}), anchor_link_text=""
    )
    return Markup(exporter.from_notebook_node(document)[0])
