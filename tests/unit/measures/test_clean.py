from __future__ import annotations

import torch
from torch.nn import functional as F

from gauntlet.measures.clean import Clean


def test_clean_records_the_prediction_on_the_images_themselves(network, batch):
    logits = network(batch.images).detach()
    columns = Clean().run(network, batch).columns
    assert torch.equal(columns["prediction"], logits.argmax(1))
    expected = F.cross_entropy(logits.double(), batch.labels, reduction="none")
    torch.testing.assert_close(columns["cross_entropy"], expected)
    in_order = logits.argsort(1, descending=True)
    ranks = (in_order == batch.labels[:, None]).int().argmax(1)
    assert torch.equal(columns["rank"], ranks)
