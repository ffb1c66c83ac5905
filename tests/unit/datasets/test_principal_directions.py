"""Variances along principal directions."""

from __future__ import annotations

import numpy as np
import torch

from gauntlet.architectures.principal_components import principal_components
from gauntlet.datasets.principal_directions import IMAGES_AT_ONCE, principal_variances


def test_principal_variances_are_those_of_the_projection_layer() -> None:
    random = np.random.default_rng(1)
    count = IMAGES_AT_ONCE + 50
    images = random.integers(0, 256, (count, 2, 3, 3), dtype=np.uint8)
    _, expected, *_ = principal_components(torch.from_numpy(images))
    found = principal_variances(images)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)
