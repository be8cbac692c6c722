"""Measures and zero-shot accuracy with several sets of captions, from embeddings of images that are there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from unseen.atomic_files import csv_text, write_text
from unseen.runs.console import notice, say
from unseen.runs.transfer.measures import class_probabilities
from unseen.runs.transfer.rows import Row, accuracy_row
from unseen.runs.written_values import in_csv, on_screen
from unseen.wording import count, listing

if TYPE_CHECKING:
    import torch

    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.runs.transfer.parts import Captioned
    from unseen.transfer.paired_captions import CaptionEffect

_COLUMNS = (
    "encoder", "task", "prompts", "templates", "measure", "value", "low", "high", "n", "difference",
    "difference_low", "difference_high", "p_holm",
)  # fmt: skip
# what depends on captions
_MEASURES = ("iimm", "inter", "correct", "inter_text", "gap", "leep")
_COMPARED = {"accuracy": "accuracy on test images", "iimm": "IIMM of training images"}


@dataclass(frozen=True)
class _OfSet:
    """What was found with a set of captions; effects are differences from the first set, by measure."""

    name: str
    templates: int
    rows: Sequence[Row]
    effects: Mapping[str, CaptionEffect]


def write_prompts(
    folder: Path,
    encoder: Encoder,
    captioned: Captioned,
    given: Mapping[str, Any],
    test_images: ImageFeatures,
    plain: dict[str, Any],
    device: torch.device,
) -> Table:
    """Write prompts.csv and say which sets of captions differ from the first one; return the table for the screen.

    Args:
        folder: Of the run.
        encoder: Before training.
        captioned: The task; its names of the classes stand in all captions.
        given: Arguments of `unseen.transfer.score_all` for the training images.
        test_images: Of the task.
        plain: All settings.
        device: Of the encoder.
    """
    from unseen.encoders.prompt_sets import prompt_sets
    from unseen.reporting.statistics.claims import holm

    task = captioned.task.name
    templates, left_out = prompt_sets(plain["prompts"], task, plain["templates"])
    for name, reason in left_out.items():
        notice(f"prompts={name} is left out: {reason}")
    found = list(_found(encoder, captioned, templates, given, test_images, plain, device))
    p_values = [effect.p for one in found for effect in one.effects.values()]
    corrected = dict(zip(_effects_of(found), holm(p_values), strict=True))
    lines = (
        (
            plain["model"]["name"], task, one.name, one.templates, row.measure, in_csv(row.value), in_csv(row.low),
            in_csv(row.high), row.n, *_effect_cells(one, row.measure, corrected),
        )
        for one in found
        for row in one.rows
    )  # fmt: skip
    write_text(folder / "prompts.csv", csv_text(_COLUMNS, lines))
    for measure in _COMPARED if len(found) > 1 else ():
        say(_sentence(measure, found, corrected))
    return _table(f"{task}: captions", found)


def _found(
    encoder: Encoder,
    captioned: Captioned,
    sets: Mapping[str, Sequence[str]],
    given: Mapping[str, Any],
    test_images: ImageFeatures,
    plain: dict[str, Any],
    device: torch.device,
) -> Iterator[_OfSet]:
    """Yield what is found with each set; the first one is compared with none."""
    import torch

    from unseen.encoders.prompts import Prompts
    from unseen.encoders.zero_shot import class_embeddings, right_decisions
    from unseen.transfer import score_all
    from unseen.transfer.paired_captions import accuracy_effect, iimm_effect

    first: tuple[Any, Any] | None = None
    for name, templates in sets.items():
        with torch.no_grad():
            captions = Prompts(templates, captioned.names).captions(captioned.task.classes)
            embeddings = class_embeddings(encoder, captions)
            right = right_decisions(encoder, test_images, embeddings)
        texts = embeddings.float().cpu().numpy()
        images, labels = given["images"], given["labels"]
        chances = class_probabilities(encoder, images, texts, device)
        scores = score_all(
            images,
            labels,
            texts=texts,
            probabilities=chances,
            names=_MEASURES,
            draws=plain["draws"],
            seed=plain["seed"],
        )
        task = captioned.task.name
        rows = [accuracy_row(task, "accuracy", right)]
        rows += [
            Row(task, measure, one.value, one.low, one.high, one.images) for measure, one in scores.items()
        ]
        effects: dict[str, CaptionEffect] = {}
        if first is None:
            first = right.numpy(), texts
        else:
            effects["accuracy"] = accuracy_effect(first[0], right.numpy())
            effects["iimm"] = iimm_effect(images, labels, first[1], texts)
        yield _OfSet(name, len(templates), rows, effects)


def _effects_of(found: Sequence[_OfSet]) -> list[tuple[str, str]]:
    """Return set and measure of each difference, in order."""
    return [(one.name, measure) for one in found for measure in one.effects]


def _effect_cells(
    one: _OfSet, measure: str, corrected: Mapping[tuple[str, str], float]
) -> tuple[object, ...]:
    effect = one.effects.get(measure)
    if effect is None:
        return ("",) * 4
    p = corrected[one.name, measure]
    return in_csv(effect.value), in_csv(effect.low), in_csv(effect.high), in_csv(p)


def _sentence(measure: str, found: Sequence[_OfSet], corrected: Mapping[tuple[str, str], float]) -> str:
    """Return which sets differ from the first one in a measure, of all tests together."""
    from unseen.reporting.statistics.claims import SIGNIFICANT

    first, *others = found
    n = next(row.n for row in first.rows if row.measure == measure)
    differing = [one for one in others if corrected[one.name, measure] <= SIGNIFICANT]
    above = [one.name for one in differing if one.effects[measure].value > 0]
    below = [one.name for one in differing if one.effects[measure].value < 0]
    alike = [one.name for one in others if one not in differing]
    parts = [f"{listing(above)} above"] if above else []
    parts += [f"{listing(below)} below"] if below else []
    parts += [f"no difference of {listing(alike)} is shown"] if alike else []
    tests = count(len(corrected), "test")
    return f"{_COMPARED[measure]}, against {first.name}: {'; '.join(parts)} (the same {n:,} images; Holm, {tests})"


def _table(title: str, found: Sequence[_OfSet]) -> Table:
    """Return a row a set of captions, with its differences from the first one."""
    table = Table(title=title, title_justify="left")
    table.add_column("captions", no_wrap=True)
    for heading in ("templates", "accuracy", f"from {found[0].name}", "IIMM", f"from {found[0].name}"):
        table.add_column(heading, justify="right")
    for one in found:
        cells = [one.name, str(one.templates)]
        for measure in _COMPARED:
            value = next(row.value for row in one.rows if row.measure == measure)
            effect = one.effects.get(measure)
            cells.append(on_screen(value))
            cells.append(
                f"{on_screen(effect.value)} [{on_screen(effect.low)}, {on_screen(effect.high)}]"
                if effect
                else "–"
            )
        table.add_row(*cells)
    return table
