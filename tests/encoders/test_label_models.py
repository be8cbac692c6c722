"""Vectors of class names from language models: tiny ones in local folders, against each name by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor

from unseen.backbones.weights import WeightsUnavailable
from unseen.encoders.label_models import PUBLISHED, LabelModel, label_embeddings

NAMES = ["cat", "black dog", "a very long name of owl"]
WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", *" ".join(NAMES).split()]
SMALL = {"vocab_size": len(WORDS), "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[LabelModel]:
    """The published architectures with random weights of 16 features, each in a folder."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    text = transformers.CLIPTextConfig(**SMALL, hidden_size=16, projection_dim=16, eos_token_id=3)
    networks: dict[str, Any] = {
        "CLIPTextModelWithProjection": transformers.CLIPTextModelWithProjection(text),
        "GPT2Model": transformers.GPT2Model(
            transformers.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2)
        ),
        "BertModel": transformers.BertModel(transformers.BertConfig(**SMALL, hidden_size=16)),
    }
    for name, network in networks.items():
        network.save_pretrained(root / name)
        tokenizer(name).save_pretrained(root / name)
    return [LabelModel(str(root / one.architecture), one.architecture, one.pooled) for one in PUBLISHED]


def tokenizer(architecture: str) -> Any:
    """Words; GPT-2's has no token for padding and none around a text."""
    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special: dict[str, Any] = {"unk_token": "[UNK]", "eos_token": "[SEP]"}
    if architecture != "GPT2Model":
        words.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        special["pad_token"] = "[PAD]"
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special)


def alone(model: LabelModel, names: list[str]) -> Tensor:
    """Vectors (C, E) of names that are all of one length, or one by one: no padding."""
    network = getattr(transformers, model.architecture).from_pretrained(model.source)
    words = transformers.AutoTokenizer.from_pretrained(model.source)
    rows = []
    for name in names:
        outputs = network(**words(name, return_tensors="pt"))
        rows.append(outputs.text_embeds[0] if model.pooled else outputs.last_hidden_state[0].mean(dim=0))
    return torch.stack(rows).detach()


def test_a_name_has_the_vector_that_it_has_alone(tiny: list[LabelModel]) -> None:
    found = label_embeddings(NAMES, tiny)
    assert [tuple(one.shape) for one in found] == [(3, 16)] * 3
    for vectors, model in zip(found, tiny, strict=True):
        torch.testing.assert_close(vectors, alone(model, NAMES))


def test_with_padding_the_longest_name_changes_the_others(tiny: list[LabelModel]) -> None:
    """By hand for BERT: the mean over all places of the list's batch; CLIP's own embedding has none."""
    clip, gpt2, bert = label_embeddings(NAMES, tiny, padding=True)
    for vectors, model in zip((gpt2, bert), tiny[1:], strict=True):
        torch.testing.assert_close(vectors[2], alone(model, NAMES)[2])  # the longest has no padding
        assert not torch.allclose(vectors[0], alone(model, NAMES)[0])
    torch.testing.assert_close(clip, alone(tiny[0], NAMES))
    words = transformers.AutoTokenizer.from_pretrained(tiny[2].source)
    network = transformers.BertModel.from_pretrained(tiny[2].source)
    states = network(**words(NAMES, return_tensors="pt", padding=True)).last_hidden_state
    torch.testing.assert_close(bert, states.mean(dim=1).detach())
    (short,) = label_embeddings(NAMES[:2], tiny[1:2], padding=True)
    assert not torch.allclose(short[0], gpt2[0])


def test_many_names_are_taken_in_parts_of_one_width(
    tiny: list[LabelModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = label_embeddings(NAMES, tiny, padding=True)
    monkeypatch.setattr("unseen.encoders.label_models._AT_ONCE", 1)
    for one, other in zip(label_embeddings(NAMES, tiny, padding=True), whole, strict=True):
        torch.testing.assert_close(one, other)


def test_a_model_that_is_not_here_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        WeightsUnavailable,
        match=r"the weights of the label model 'laion/.*HF_HUB_OFFLINE is set.*label_models=null",
    ):
        label_embeddings(NAMES)


def test_weights_of_heads_are_not_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As in BERT's own files, which hold a head and no weights of the pooler that the library adds."""
    config = transformers.BertConfig(**SMALL, hidden_size=16)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    tokenizer("BertModel").save_pretrained(tmp_path)
    capfd.readouterr()
    (rows,) = label_embeddings(NAMES, [LabelModel(str(tmp_path), "BertModel")])
    assert rows.shape == (3, 16)
    assert capfd.readouterr() == ("", "")


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    few, more = (transformers.BertConfig(**SMALL | {"num_hidden_layers": n}, hidden_size=16) for n in (1, 2))
    transformers.BertModel(few).save_pretrained(tmp_path)
    more.save_pretrained(tmp_path)
    tokenizer("BertModel").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lacks weights of BertModel: encoder\.layer\.1"):
        label_embeddings(NAMES, [LabelModel(str(tmp_path), "BertModel")])
