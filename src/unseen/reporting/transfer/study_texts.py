"""What a study of transfer may say, in sentences: claims that passed their test, and what few tasks cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from unseen.reporting.statistics.association import detectable_correlation, smallest_flip_p
from unseen.reporting.statistics.claims import OF_A_PAGE, SIGNIFICANT
from unseen.reporting.statistics.shuffles import smallest_p
from unseen.reporting.transfer.forecasts import Forecast, KnownTasks
from unseen.reporting.transfer.iimm_parts import WeightChoice
from unseen.reporting.transfer.lines import FAMILIES, FEWEST_TASKS, PRIMARY, Line
from unseen.reporting.transfer.study import TransferStudy
from unseen.reporting.transfer.techniques import BestTechnique
from unseen.wording import count, listing

_MOST_FORECASTS = 12


def sentences_of(study: TransferStudy) -> list[str]:
    """Return the sentences of a study."""
    tasks = study.tasks
    points = tasks.points
    names = list(dict.fromkeys(point.task for point in points))
    techniques = list(dict.fromkeys(point.technique for point in points))
    runs = count(sum(point.runs for point in points), "run")
    sentences = [f"{runs}: {count(len(names), 'task')} ({listing(names)}), tuned by {listing(techniques)}."]
    composed = list(dict.fromkeys(point.encoder for point in points if point.composed))
    if composed:
        sentences.append(composed_sentence(composed))
    if tasks.settings:
        several = {(one.encoder, one.technique, one.task) for one in tasks.settings}
        sentences.append(
            f"{len(several)} of {count(len(points), 'outcome')} are of the setting with the best held-out accuracy "
            "among several, which chosen.csv lists; no test image chose."
        )
    if not study.lines:
        sentences.append(
            f"A line over tasks needs {FEWEST_TASKS} of them at least for one encoder and technique, which differ in "
            "measure and outcome: none is drawn."
        )
    else:
        sentences += line_sentences(study.lines)
    sentences += weight_sentences(study.weight_choices)
    sentences += known_sentences(study.known_tasks)
    sentences += forecast_sentences(study.forecasts)
    sentences += _of_techniques(study.best_techniques)
    return sentences


def composed_sentence(encoders: Sequence[str]) -> str:
    """Return what the numbers of composed encoders are not."""
    return (
        f"{listing(encoders)}: two towers trained apart and joined, a demonstration and no CLIP; its numbers do not "
        "stand beside the published ones."
    )


def line_sentences(lines: Sequence[Line]) -> list[str]:
    """Return the lines that may be claimed, or what so few tasks can show at best."""
    sentences = [claim(line) for line in lines if line.may_be_written]
    most = max(line.n for line in lines)
    if sentences:
        sentences.append(
            "Outcomes are means over seeds; intervals and p are over tasks, and take these as independent draws, which "
            "tasks made of the same images are not. A line does not say that the measure is the reason."
        )
    else:
        sentences.append(
            f"None of {len(lines)} lines of gain or forgetting against a measure is claimed with all of them counted "
            "(Holm); that says nothing against a relation, which few tasks cannot show."
        )
        sentences.append(_what_few_may_show(most, sum(line.measure == PRIMARY for line in lines)))
    return sentences


def claim(line: Line) -> str:
    """Return the sentence on a line that may be claimed."""
    return (
        f"{line.outcome} goes with {line.measure} over {line.n} tasks ({line.encoder}, {line.technique}): slope "
        f"{line.slope:.3g} [{line.low:.3g}, {line.high:.3g}], R² {line.r2:.2f} [{line.r2_low:.2f}, "
        f"{line.r2_high:.2f}], τ = {line.tau:.2f} [{line.tau_low:.2f}, {line.tau_high:.2f}]; by the order of outcomes "
        f"p = {line.p_order:.2g}, {line.p_adjusted:.2g} with all lines counted; on a task left out the "
        f"line errs by {line.error:.3f}, the mean by {line.error_of_mean:.3f}, lines through shuffled outcomes by "
        f"{line.error_by_chance:.3f}."
    )


def _what_few_may_show(n: int, of_iimm: int) -> str:
    """Return what so many lines of the IIMM over n tasks can show at best."""
    least = smallest_p(n)
    if least > SIGNIFICANT:
        return f"By their order {n} tasks never have p ≤ .05, whatever the outcomes are."
    if of_iimm and least * FAMILIES * of_iimm > OF_A_PAGE:
        return (
            f"With {n} tasks p is {least:.2g} at least, and {of_iimm} lines of the IIMM with it are too many for any "
            "of them to be claimed, whatever the outcomes are: more tasks, or fewer techniques in runs=, can show one."
        )
    return (
        f"A single test of {n} tasks finds a true rank correlation of {detectable_correlation(n):.2f} in 80 % of "
        "cases, a weaker one less often."
    )


def weight_sentences(choices: Sequence[WeightChoice]) -> list[str]:
    """Return whether weights of the IIMM's halves that were chosen without a task forecast it better."""
    if not choices:
        return []
    better = sum(one.nested_error < one.error for one in choices)
    return [
        "A weight of IIMM's halves that is the best of 11 over a handful of tasks is chosen after the fact. Chosen "
        "without the task that it forecasts, it errs less than the IIMM itself in "
        f"{better} of {count(len(choices), 'case')} (weight_choices.csv)."
    ]


def known_sentences(rows: Sequence[KnownTasks]) -> list[str]:
    """Return how far forecasts from all tasks but one are off."""
    last = {(row.encoder, row.technique, row.outcome): row for row in rows}.values()
    if not last:
        return []
    better = sum(row.error < row.error_of_mean for row in last)
    return [
        "An outcome forecast by its task's IIMM from all other tasks is nearer than their mean in "
        f"{better} of {count(len(last), 'case')}; forecasts.csv has the errors by number of known tasks."
    ]


def forecast_sentences(found: Sequence[Forecast]) -> list[str]:
    """Return the sentences on forecasts, and how many more there are."""
    sentences = [
        f"{one.task}, not tuned by {one.technique} ({one.encoder}): {one.outcome} forecast {one.forecast:.3f} "
        f"[{one.low:.3f}, {one.high:.3f}] by the IIMM of {one.n} tasks, {one.mean:.3f} [{one.mean_low:.3f}, "
        f"{one.mean_high:.3f}] by their mean."
        + (
            " Its IIMM is beyond theirs: nothing shows that the line goes on there."
            if one.extrapolates
            else ""
        )
        for one in found[:_MOST_FORECASTS]
    ]
    if len(found) > _MOST_FORECASTS:
        sentences.append(f"{len(found) - _MOST_FORECASTS} further forecasts are in new_tasks.csv.")
    return sentences


def _of_techniques(best: Sequence[BestTechnique]) -> list[str]:
    sentences = []
    for one in best:
        what = "gains most" if one.outcome == "gain" else "forgets least"
        others = [name for name in one.techniques if name != one.technique]
        over = f"over {count(one.n, 'common task')} ({one.encoder})"
        if one.written:
            sentences.append(
                f"{one.technique} {what} {over}, better than {listing(others)}: mean {one.mean:.3f}, "
                f"largest p {one.p:.2g} by flipping signs, {one.corrected:.2g} with all comparisons counted."
            )
        else:
            sentences.append(
                f"Which technique {what} cannot be said {over}: of {listing(one.techniques)} none is shown to be "
                "better than all others"
                + (f", which {one.n} tasks never show." if smallest_flip_p(one.n) > SIGNIFICANT else ".")
            )
    return sentences
