"""Training losses: by hand, against cross-entropy, and what each part of the network learns from."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, NTXentLoss, SelfSupervisedLoss, SupConLoss
from tests.runs.conftest import SPEC
from tests.test_configs import resolved
from torch import nn
from torch.nn import functional as F

from unseen.runs.objects import make
from unseen.training import SeenClassifier
from unseen.training.losses import EmbeddingLoss, FocalLoss, TwoViewLoss

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


# ------------------------------------------------------------------ two views
FIRST, SECOND = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))


def chosen(name: str) -> TwoViewLoss:
    """The loss that loss=NAME makes."""
    made: TwoViewLoss = make(resolved(f"loss={name}")["model"]["loss"], "model.loss", TwoViewLoss)
    return made


def test_simclr_is_nt_xent() -> None:
    """Chen et al., eq. 1: -log of the other view's share among all other views of the batch, over all 2 B of them."""
    unit = F.normalize(torch.cat([FIRST, SECOND])).double()
    exponents = (unit @ unit.T / 0.1).masked_fill(torch.eye(10, dtype=torch.bool), -torch.inf)
    other = torch.arange(10).roll(5)
    expected = -exponents.log_softmax(1)[torch.arange(10), other].mean()
    found = chosen("simclr").on_embedding(FIRST, ref_emb=SECOND)
    torch.testing.assert_close(found, expected.float())
    theirs = SelfSupervisedLoss(NTXentLoss(temperature=0.1))(FIRST, ref_emb=SECOND)
    torch.testing.assert_close(found, theirs)


def test_vicreg_by_hand() -> None:
    """Bardes et al., eq. 1 to 6, the distance as a mean over the axes and the variance halved, as in their code."""
    expected = 25 * ((FIRST - SECOND) ** 2).mean()
    for view in (FIRST, SECOND):
        expected += 25 * F.relu(1 - (view.var(0) + 1e-4).sqrt()).mean() / 2
        covariance = torch.cov(view.T)
        expected += (covariance - covariance.diag().diag()).square().sum() / 4
    torch.testing.assert_close(chosen("vicreg").on_embedding(FIRST, ref_emb=SECOND), expected)


@pytest.mark.parametrize("name", ["simclr", "vicreg"])
def test_labels_train_the_head_alone(name: str) -> None:
    torch.manual_seed(0)
    module = SeenClassifier(SPEC.build(3, 32), loss=chosen(name)).eval()
    images = torch.randn(8, 3, 32, 32)
    found = []
    for labels in (torch.tensor([0, 1, 2, 0]), torch.tensor([2, 2, 1, 1])):
        module.zero_grad()
        module.criterion(module(images), labels.repeat(2)).backward()
        found.append({key: value.grad.clone() for key, value in module.backbone.named_parameters()})
    for key, value in found[0].items():
        of_head = ".fc." in key
        assert torch.equal(value, found[1][key]) is not of_head, key
    assert found[0]["network.conv1.weight"].abs().max() > 0
