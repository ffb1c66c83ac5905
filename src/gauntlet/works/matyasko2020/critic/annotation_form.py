"""The form of the human study (Figure 4.5) as one HTML page that needs no server and can be printed."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROWS, COLUMNS = 5, 5
"""Images of a task: rows, each with one text box, and images in a row."""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Which digits do you see?</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em; color: #222; }
fieldset { border: 0; margin: 0 0 .5em; padding: 0; display: flex; align-items: center; gap: .5em; }
img { width: 64px; height: 64px; image-rendering: pixelated; }
input { font: 20px monospace; width: 6em; letter-spacing: .3em; }
input:invalid { border-color: #a00; }
@media print { button, #saved { display: none; } }
</style>
</head>
<body>
<h1>Which digits do you see?</h1>
<p>Type the five digits of each row into the box beside it. Type <kbd>?</kbd> for an image that is no digit.</p>
<form id="task" method="get">
$rows
<button type="submit">Submit</button>
<output id="saved"></output>
</form>
<script>
document.getElementById("task").addEventListener("submit", function (event) {
  event.preventDefault();
  const lines = ["image,answer"];
  for (const box of this.querySelectorAll("input")) {
    const images = box.dataset.images.split(" ");
    [...box.value].forEach((answer, place) => lines.push(images[place] + "," + answer));
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\\n") + "\\n"], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  document.getElementById("saved").value = "Thank you. Your answers are in answers.csv.";
});
</script>
</body>
</html>
""")

_ROW = Template("""<fieldset>
$images
<input name="row-$number" aria-label="digits of row $number" pattern="[0-9?]{$count}" maxlength="$count" required
 title="$count digits or question marks" autocomplete="off" data-images="$indices">
</fieldset>""")


def form_page(images: NDArray[np.floating], indices: Sequence[int]) -> str:
    """Return the page of one task. It does not tell what the images are.

    Submitting asks for an answer to every image and saves them as ``answers.csv``: position in the split, answer.

    Args:
        images: float ``[N, 1, H, W]`` in [0, 1], up to `COLUMNS` in each row.
        indices: position of each in its split.
    """
    rows = []
    for start in range(0, len(images), COLUMNS):
        part = range(start, min(start + COLUMNS, len(images)))
        rows.append(
            _ROW.substitute(
                images="\n".join(
                    f'<img alt="image {place - start + 1} of the row" src="{_source(images[place])}">'
                    for place in part
                ),
                number=start // COLUMNS + 1,
                count=len(part),
                indices=html.escape(" ".join(str(indices[place]) for place in part)),
            )
        )
    return _PAGE.substitute(rows="\n".join(rows))


def _source(image: NDArray[np.floating]) -> str:
    """Return an image as a data URL."""
    pixels = np.rint(np.clip(image[0], 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
