"""Gauntlet: reproduce works on adversarial robustness, table by table and figure by figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from gauntlet.contracts import Classifier

__version__ = "0.1.0"


def load_model(
    model: str | Path,
    scale: str = "demo",
    device: torch.device | str = "cpu",
    *,
    config: str | Path = "config",
) -> Classifier:
    """Load a trained or imported model in eval mode: from images in [0, 1] to logits.

    Args:
        model: its name in the configuration, or its folder.
        scale: demo, small or full; without influence on a folder.
        device: where the model goes.
        config: the configuration folder, from whose parent the workflow runs.

    Raises:
        ConfigurationError: no work has a model of this name at this scale.
        ResourceUnavailable: it has not been made yet; the message holds the command that makes it.
    """
    # The workflow imports this package for its version alone; it need not wait for torch.
    from gauntlet import models
    from gauntlet.configuration import load_catalogue, paths
    from gauntlet.errors import ConfigurationError, ResourceUnavailable, did_you_mean

    if (Path(model) / models.MANIFEST).is_file():
        return models.load_model(model, device)
    origins = load_catalogue(config, {"scale": scale}).origins
    if model not in origins:
        raise ConfigurationError(
            f"no work has such a model at scale {scale}", found=model, valid=did_you_mean(str(model), origins)
        )
    weights = paths.model_folder(scale, origins[str(model)]) / models.WEIGHTS
    root = Path(config).parent
    if not (root / weights).is_file():
        raise ResourceUnavailable(
            f"the model {model} has not been made yet; this makes it:\n"
            f"  snakemake --cores all --config scale={scale} -- {weights}"
        )
    return models.load_model((root / weights).parent, device)
