"""What the study of the published networks shows, in sentences that say no more than its tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unseen.reporting.biases.conclusions import Conclusion
from unseen.reporting.biases.networks import BIASES, Networks
from unseen.reporting.biases.regressions import Regression
from unseen.reporting.number_texts import signed
from unseen.reporting.statistics.claims import SIGNIFICANT
from unseen.wording import count


def in_words(networks: Networks, rows: Sequence[Conclusion], together: Sequence[Regression]) -> list[str]:
    """Return what the study of the published networks shows and what it cannot show, a sentence or two each."""
    printed = [row for row in rows if row.published]
    others = [row for row in printed if row.group != "ID"]
    zeros = [row for row in rows if not row.published]
    adversarial = len(networks.subsets()["AT"])
    return [
        f"{count(len(networks), 'network')} (ResNet-50, ImageNet-1k), {adversarial} of them adversarially trained: of "
        f"{len(rows)} rank correlations between a bias and a group of benchmarks the paper prints {len(printed)} and "
        f"shows the other {len(zeros)}, with p ≥ .05, as 0.",
        f"Tests of a subset counted together (Benjamini–Hochberg, 24 tests): "
        f"{_stay(printed, lambda row: row.stays_adjusted)}",
        f"All 72 tests counted together (Holm, .10): {_stay(printed, lambda row: row.may_be_written)}",
        f"Among networks of equal ID accuracy (partial correlation, Benjamini–Hochberg, ID itself left out): "
        f"{_stay(others, lambda row: row.stays_given_id)}",
        *_turned(rows),
        f"ID without ReaL, whose published column is the last batch alone: "
        f"{_stay(printed, lambda row: row.stays_without_real)}",
        "The floor of the published adversarial accuracy (48 images that were never attacked count as withstood) moves "
        "every accuracy along one line, so that no rank correlation and no R² changes when it is removed: "
        f"{_stay(printed, lambda row: row.stays_corrected_pgd)}",
        *_together(together),
        "How far this goes: the networks are no independent draws. They come from "
        f"{len(set(networks.categories))} kinds of training, and the adversarially trained ones are one method at two "
        "norms and rising strengths, one of them of strength zero, so that every p here may be too small and every "
        "interval too narrow.",
        _ties(networks),
        "Correlations over networks that differ in many things at once do not say what happens to a network whose bias "
        "is changed.",
    ]  # fmt: skip


def _stay(rows: Sequence[Conclusion], answer: Callable[[Conclusion], str]) -> str:
    lost = [row for row in rows if answer(row) != "yes"]
    text = f"{len(rows) - len(lost)} of {len(rows)} stay."
    return text + (f" Not: {_cells(lost)}." if lost else "")


def _cells(rows: Sequence[Conclusion]) -> str:
    """Return cells of the table, those of one subset together."""
    by_subset: dict[str, list[str]] = {}
    for row in rows:
        name = BIASES[row.bias].split(": ")[-1]
        by_subset.setdefault(row.subset, []).append(f"{name} × {row.group}")
    return "; ".join(f"{subset}: {', '.join(cells)}" for subset, cells in by_subset.items())


def _turned(rows: Sequence[Conclusion]) -> list[str]:
    """Return a sentence for each way in which zeros become significant or signs turn."""
    sentences = []
    for way, words in (
        ("given ID accuracy, with the other sign", "Significant with the other sign given ID accuracy"),
        ("given ID accuracy", "Printed as 0, but significant given ID accuracy"),
        ("without ReaL", "Printed as 0, but significant without ReaL"),
        (
            "without ReaL, by its own p alone",
            "Printed as 0, but p < .05 without ReaL; not with all tests of the subset counted",
        ),
        (
            "by distance correlation",
            "Printed as 0, but significant by distance correlation, which sees other than monotone relations, too",
        ),
    ):
        found = [row for row in rows if way in row.turns.split("; ")]
        if found:
            sentences.append(f"{words}: {_cells(found)}.")
    return sentences


def _together(rows: Sequence[Regression]) -> list[str]:
    sentences = []
    for subset, words in (("total", "all networks"), ("other", "those without adversarial training")):
        parts = []
        for model, name in (("ols", "least squares"), ("ridge", "ridge"), ("forest", "random forest")):
            of_model = [row for row in rows if (row.subset, row.model) == (subset, model)]
            if of_model:
                parts.append(f"{name} " + ", ".join(f"{row.group} {_left_out(row)}" for row in of_model))
        if parts:
            sentences.append(
                f"All six biases together, {words}, R² on networks left out: {'; '.join(parts)}. Marked are those that "
                "biases shuffled over the networks reach in more than one of 20 cases."
            )
    products = [row for row in rows if (row.subset, row.model) == ("total", "ols_products")]
    if products:
        sentences.append(
            "With the 15 products of two biases least squares over-fits: R² in sample is "
            f"{min(row.r2 for row in products):.2f} to {max(row.r2 for row in products):.2f}, on networks left out "
            f"{signed(min(row.r2_left_out for row in products))} to "
            f"{signed(max(row.r2_left_out for row in products))}."
        )
    return sentences


def _left_out(row: Regression) -> str:
    return signed(row.r2_left_out) + ("" if row.p <= SIGNIFICANT else " (p > .05)")


def _ties(networks: Networks) -> str:
    names = [name for name in networks.biases if name.startswith("cb_")]
    distinct = {tuple(networks.biases[name][at] for name in names) for at in range(len(networks))}
    return (
        f"The three numbers of the critical band rest on whole thresholds: the {len(networks)} networks have "
        f"{len(distinct)} different triples, so that many are tied and small differences between networks are lost."
    )
