"""Figure 6.2, a sketch: how Backward Smoothing finds the start of its attack (chen2021, section 6.4)."""

from __future__ import annotations

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.artefacts import Figure
from gauntlet.reporting.diagrams import flow_chart


def figure_6_2(inputs: ArtefactInputs) -> Figure:
    """Figure 6.2: from the answer to a random point around it, back to an image, and on by one step of the attack."""
    return flow_chart(
        {
            "image": (0.12, 0.2, "image\nx"),
            "answer": (0.12, 0.8, "answer\nf(x)"),
            "point": (0.5, 0.8, "random point around it\nf(x) + γ ψ,  ψ ~ U(−1, 1)"),
            "start": (0.5, 0.2, "start of the attack\nx + ξ*,  in the ball"),
            "end": (0.86, 0.2, "perturbed image, one step\non that raises KL, in the ball"),
        },
        [("image", "answer"), ("answer", "point"), ("point", "start"), ("start", "end")],
        "Backward Smoothing draws a random point around the network's answer, takes one step that brings the answer "
        "towards it, and starts the one step of the attack there. A random start draws the point around the image "
        "instead.",
        {
            ("image", "answer"): "network",
            ("point", "start"): "one step that lowers\nKL(point, answer)",
        },
    )
