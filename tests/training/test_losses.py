"""Training losses: by hand, against cross-entropy, and what each part of the network learns from."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, SupConLoss
from tests.runs.conftest import SPEC
from torch import nn
from torch.nn import functional as F

from unseen.training import SeenClassifier
from unseen.training.losses import EmbeddingLoss, FocalLoss

LOGITS, LABELS = (
    torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]),
    torch.tensor([1, 0]),
)  # p of the right class: 3/4, 1/2


def test_focal_by_hand() -> None:
    assert float(FocalLoss(2)(LOGITS, LABELS)) == pytest.approx(
        (math.log(4 / 3) * 0.25**2 + math.log(2) * 0.5**2) / 2
    )
    assert torch.equal(FocalLoss(0)(LOGITS, LABELS), F.cross_entropy(LOGITS, LABELS))
    with pytest.raises(ValueError, match="gamma=-1 must be at least 0"):
        FocalLoss(-1)


def test_each_part_learns_from_its_own_loss() -> None:
    """The gradients are those of a plain sum of supcon of normalised embeddings and of cross-entropy of the head."""
    torch.manual_seed(0)
    module = SeenClassifier(SPEC.build(3, 32), loss=EmbeddingLoss(SupConLoss(temperature=0.1))).eval()
    images, labels = torch.randn(6, 3, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2])
    module.criterion(module(images), labels).backward()
    found = {
        name: value.grad.clone()
        for name, value in module.backbone.named_parameters()
        if value.grad is not None
    }

    module.zero_grad()
    network = module.backbone.network
    embeddings = network.forward_head(network.forward_features(images), pre_logits=True)  # (B, D)
    unit = F.normalize(embeddings)
    exponents = (unit @ unit.T / 0.1).masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf)
    positives = (labels[:, None] == labels) & ~torch.eye(6, dtype=torch.bool)
    # Khosla et al., eq. 2: the mean over positives of log-softmax over all others
    supcon = -(exponents.log_softmax(1).masked_fill(~positives, 0).sum(1) / positives.sum(1)).mean()
    (supcon + F.cross_entropy(network.fc(embeddings.detach()), labels)).backward()
    assert found.keys() == {name for name, _ in module.backbone.named_parameters()}
    for name, value in module.backbone.named_parameters():
        torch.testing.assert_close(found[name], value.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_evaluation_sees_nothing_of_it() -> None:
    torch.manual_seed(0)
    loss = EmbeddingLoss(SupConLoss())
    module = SeenClassifier(SPEC.build(3, 32), loss=loss).eval()
    with torch.no_grad():
        module(torch.randn(2, 3, 32, 32))
    assert loss._embedding is None


def test_a_loss_with_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="ArcFaceLoss has weights of its own"):
        EmbeddingLoss(ArcFaceLoss(num_classes=3, embedding_size=4))
    with pytest.raises(ValueError, match="Linear has weights of its own"):
        EmbeddingLoss(nn.Linear(2, 2))
