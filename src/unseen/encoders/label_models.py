"""Vectors of class names from language models, with which EMMS compares images (Meng et al., NeurIPS 2023).

Legend: C class names, L tokens of the longest one, E features.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unseen.wording import listing

_AT_ONCE = 100  # names


@dataclass(frozen=True)
class LabelModel:
    """A model of the hub.

    Attributes:
        source: Repository, or a local folder.
        architecture: Class of the transformers library.
        pooled: Whether the model has an embedding of a text of its own; else it is a mean over tokens.
    """

    source: str
    architecture: str
    pooled: bool = False


# As in the code of arXiv 2407.15731; each has 1,024 features.
PUBLISHED = (
    LabelModel("laion/CLIP-ViT-g-14-laion2B-s12B-b42K", "CLIPTextModelWithProjection", pooled=True),
    LabelModel("openai-community/gpt2-medium", "GPT2Model"),
    LabelModel("google-bert/bert-large-uncased", "BertModel"),
)


def label_embeddings(
    names: Sequence[str],
    models: Sequence[LabelModel] = PUBLISHED,
    *,
    padding: bool = False,
    device: torch.device | str = "cpu",
) -> list[Tensor]:
    """Return the vectors (C, E) of bare class names by each model, not normalised, on the CPU.

    Args:
        names: C names, without a caption.
        models: Read one after the other from the hub's cache, or downloaded (those published: about 8 GB).
        padding: Whether the mean over tokens takes in those that fill up shorter names, as in the authors' code; a
            name's vector then depends on the longest name of the list.
        device: On which they are computed.

    Raises:
        unseen.backbones.weights.WeightsUnavailable: A model is neither here nor can it be fetched.
        ValueError: A model lacks weights.
    """
    return [_embeddings(list(names), model, padding, device) for model in models]


def _embeddings(names: list[str], model: LabelModel, padding: bool, device: torch.device | str) -> Tensor:
    """Return the vectors (C, E) of one model, which is freed afterwards."""
    import transformers

    from unseen.backbones.weights import hub_errors_in_one_sentence

    with hub_errors_in_one_sentence(
        model.source, "weights of the label model", otherwise="leave EMMS out with label_models=null"
    ):
        tokenizer = transformers.AutoTokenizer.from_pretrained(model.source)
        with _quiet():
            network, report = getattr(transformers, model.architecture).from_pretrained(
                model.source, output_loading_info=True
            )
    # the pooler makes no token's state
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith("pooler.")):
        raise ValueError(
            f"the label model {model.source} lacks weights of {model.architecture}: {listing(missing, 4)}"
        )
    network.to(device).eval()
    if tokenizer.pad_token is None:  # GPT-2 has none
        tokenizer.pad_token = tokenizer.eos_token
    # all at once, so that padding reaches to the longest name of the list
    tokens = tokenizer(names, return_tensors="pt", padding=True, padding_side="right", truncation=True)
    rows = []
    with torch.no_grad():
        for first in range(0, len(names), _AT_ONCE):
            some = {key: values[first : first + _AT_ONCE].to(device) for key, values in tokens.items()}
            outputs = network(**some)
            rows.append(
                (outputs.text_embeds if model.pooled else _mean(outputs, some, padding)).float().cpu()
            )
    del network
    gc.collect()  # the next one may be as large
    return torch.cat(rows)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from listing weights of heads that are not used, and from drawing a bar while it loads."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _mean(outputs: Any, tokens: dict[str, Tensor], padding: bool) -> Tensor:
    """Return means (B, E) over the last states (B, L, E) of tokens."""
    states: Tensor = outputs.last_hidden_state
    if padding:
        return states.mean(dim=1)
    there = tokens["attention_mask"].unsqueeze(2)  # (B, L, 1): 1 where a token is no padding
    return (states * there).sum(dim=1) / there.sum(dim=1)
