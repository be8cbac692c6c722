"""Several ways to say the same classes: sets of templates that are compared over the same images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unseen.encoders.prompts import PHOTO, PLACE, published

BARE, GENERAL, OF_DATA, ENSEMBLE, OWN = "bare", "photo", "published", "ensemble", "own"
SETS = (BARE, GENERAL, OF_DATA, ENSEMBLE)
# Seven that do about as well on ImageNet as the 80 of CLIP's paper, from the notebook
# Prompt_Engineering_for_ImageNet.ipynb of openai/CLIP (Radford et al., arXiv 2103.00020).
SEVEN = (
    "itap of a {c}.",
    "a bad photo of the {c}.",
    "a origami {c}.",
    "a photo of the large {c}.",
    "a {c} in a video game.",
    "art of the {c}.",
    "a photo of the small {c}.",
)


def prompt_sets(
    names: Iterable[str], dataset: str, own: Sequence[str] | None = None
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return the templates of each set, in the order of the names; and of sets that are left out, why.

    Args:
        names: Of `SETS`: the bare name of the class, "a photo of a {c}", what is published for the data set (see
            `unseen.encoders.prompts.published`), and an ensemble of seven.
        dataset: Name of the data set.
        own: Further templates, the set `own`, which comes last.

    >>> prompt_sets(["photo", "published", "bare"], "CIFAR100")
    ({'photo': ('a photo of a {c}',), 'bare': ('{c}',)}, {'published': 'it has the captions of photo'})
    """
    known = published(dataset)
    templates = {BARE: (PLACE,), GENERAL: (PHOTO,), ENSEMBLE: SEVEN}
    if known is not None:
        templates[OF_DATA] = tuple(known.templates)
    if own is not None:
        templates[OWN] = tuple(own)
    found: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    for name in [*names, *([OWN] if own is not None else [])]:
        same = next((other for other, those in found.items() if those == templates.get(name)), None)
        if name not in templates:
            left_out[name] = f"none are published for {dataset}"
        elif same:
            left_out[name] = f"it has the captions of {same}"
        else:
            found[name] = templates[name]
    return found, left_out
