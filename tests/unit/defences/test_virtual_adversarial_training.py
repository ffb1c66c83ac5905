"""Virtual adversarial training looks along the top eigenvector of the Fisher matrix of the image."""

from __future__ import annotations

import pytest
import torch

from gauntlet.contracts import Progress
from gauntlet.defences.trades import divergences
from gauntlet.defences.virtual_adversarial_training import VirtualAdversarialTraining

START = Progress(0, 1, 0, 10)


def top_eigenvector(model, image):
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None])[0], image).flatten(1).double()
    p = model(image[None])[0].detach().double().softmax(0)
    fisher = jacobian.T @ (torch.diag(p) - p[:, None] * p) @ jacobian
    return torch.linalg.eigh(fisher)[1][:, -1]


def test_many_steps_reach_the_top_eigenvector_of_the_fisher_matrix(smooth_model, gray_batch):
    found = VirtualAdversarialTraining(eps=0.3, steps=300).perturbation(smooth_model, gray_batch())
    torch.testing.assert_close(found.flatten(1).norm(dim=1), torch.full((8,), 0.3))
    for image, perturbation in zip(gray_batch().images, found, strict=True):
        cosine = top_eigenvector(smooth_model, image) @ perturbation.flatten().double() / 0.3
        assert abs(cosine) > 0.999


def test_one_step_raises_the_divergence_more_than_a_random_direction(smooth_model, gray_batch):
    batch = gray_batch(64)
    found = VirtualAdversarialTraining(eps=0.1).perturbation(smooth_model, batch)
    random = torch.randn(found.shape, generator=torch.Generator().manual_seed(5))
    random = 0.1 * random / random.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    with torch.no_grad():
        answer = smooth_model(batch.images)
        ours, theirs = (divergences(answer, smooth_model(batch.images + r)).mean() for r in (found, random))
    assert ours > 2 * theirs


def test_the_answer_on_the_clean_image_is_a_constant_in_the_divergence(smooth_model, gray_batch):
    strong, plain = (
        VirtualAdversarialTraining(eps=1.0, strength=strength).loss(smooth_model, gray_batch(), START)
        for strength in (3.0, 0.0)
    )
    assert strong.value.item() == pytest.approx(
        plain.value.item() + 3 * strong.parts["robust_loss"].item(), rel=1e-6
    )
    assert smooth_model.training
    bias = smooth_model[-1].bias
    (gradient,) = torch.autograd.grad(strong.value - plain.value, bias)
    with torch.no_grad():
        batch = gray_batch()
        clean = smooth_model(batch.images).softmax(1)
        moved = smooth_model(strong.perturbed).softmax(1)
    torch.testing.assert_close(gradient, 3 * (moved - clean).mean(0), rtol=1e-3, atol=1e-6)
