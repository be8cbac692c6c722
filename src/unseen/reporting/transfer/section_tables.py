"""Tables of the report's section on transfer that hold what runs found: measures, accuracies, settings tried."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unseen.reporting.statistics.intervals import Estimate, is_spread
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.reporting.transfer.interpolations import MEAN_OF_OTHERS, TASK
from unseen.reporting.transfer.lines import PRIMARY
from unseen.reporting.transfer.settings_tried import Setting
from unseen.reporting.transfer.transfer_runs import AFTER, BEFORE, CHANGE, GAIN, MEAN_CHANGE, NOT_TRAINED
from unseen.reporting.transfer.tuned_tasks import TunedTask

_OF_ACCURACY = {BEFORE, AFTER, CHANGE, GAIN, MEAN_CHANGE}
_DEMONSTRATION = "demonstration, no CLIP"


def tuned_table(groups: Sequence[TunedTask]) -> Table:
    """Return a row an encoder, task and technique: what was measured before, what was gained and forgotten."""
    rows = [
        Row((
            of.encoder, _DEMONSTRATION if of.composed else of.runs[0].facts.encoder, of.task,
            "none (measured only)" if of.technique == NOT_TRAINED else of.technique, len(of.runs),
            _over_seeds(of.own(PRIMARY)), _over_seeds(of.own(BEFORE)), _over_seeds(of.own(AFTER)),
            _over_seeds(of.outcome(GAIN)), _over_seeds(of.outcome(MEAN_CHANGE)),
            max(len(run.others) for run in of.runs), of.runs[0].facts.trainable_parameters,
        ))
        for of in groups
    ]  # fmt: skip
    return Table(
        "transfer", "What each encoder gained and forgot",
        "Mean ± standard deviation (ddof 1) over n seeds of the training; a number without ± is the same in all seeds, "
        "or of one. Accuracy: share of the test images. Gain: change of accuracy divided by the zero-shot error. Other "
        "tasks: mean change of their accuracy. The gain depends on learning rate, epochs and technique as typed.",
        (
            Column("encoder"), Column("which is"), Column("task"), Column("technique"), Column("n", hint="seeds"),
            Column("IIMM", hint="before training"), Column("zero-shot", hint="accuracy before training"),
            Column("after", hint="accuracy after training"),
            Column("gain", hint="share of the zero-shot errors that is gone"),
            Column("other tasks", hint="mean change of their accuracy"), Column("others", hint="number of other tasks"),
            Column("trained weights"),
        ),
        tuple(rows),
    )  # fmt: skip


def _over_seeds(found: Estimate) -> Cell:
    """Return a mean with its standard deviation alone: intervals are in the table of changes."""
    if found.n < 2 or not is_spread(found.std, found.mean):
        return found.mean if found.n else None
    return Estimate(found.mean, found.std, n=found.n)


def changes_table(groups: Sequence[TunedTask]) -> Table:
    """Return a row an encoder, technique and pair of tasks: accuracy before and after, and the change."""
    rows = []
    for of in groups:
        for tested, written in of.tested.items():
            before, after, change = (of.over_seeds(written, measure) for measure in (BEFORE, AFTER, CHANGE))
            images = next(run.scores[written, CHANGE].n for run in of.runs if (written, CHANGE) in run.scores)
            shown = change if change.n > 1 else change.mean
            cells = (
                of.encoder,
                of.technique,
                of.task,
                tested,
                change.n,
                before.mean,
                after.mean,
                shown,
                images,
            )
            rows.append(Row(cells))
    return Table(
        "transfer_changes", "Accuracy of every task, before and after",
        "Change: mean ± standard deviation (ddof 1) over seeds [95 % t interval, from three seeds on]. It holds for "
        "other seeds, not for other images; intervals over the images of one run are in its scores.csv.",
        (
            Column("encoder"), Column("technique"), Column("trained on"), Column("tested on"),
            Column("n", hint="seeds"), Column("before"), Column("after"), Column("change"),
            Column("images", hint="test images"),
        ),
        tuple(rows),
    )  # fmt: skip


def measures_table(groups: Sequence[TunedTask]) -> Table:
    """Return every measure that was taken before training: a row an encoder, task and measure."""
    first: dict[tuple[str, str], TunedTask] = {}
    for of in groups:
        first.setdefault((of.encoder, of.task), of)
    rows = [
        Row((
            *key, row.measure, Estimate(row.value, math.nan, row.low, row.high, row.n), row.n,
            None if math.isnan(row.percentile) else row.percentile, row.seconds,
        ))
        for key, of in first.items()
        for row in of.runs[0].scores.values()
        if row.task == of.runs[0].facts.data and row.measure not in _OF_ACCURACY and not math.isnan(row.value)
    ]  # fmt: skip
    return Table(
        "transfer_measures", "Every measure, before training",
        "Of the training images with the encoder as it was loaded: a value and its 95 % interval over n images (of the "
        "IIMM and its parts by bootstrap, else by leaving out groups of images), of the first seed. Percentile: share "
        "of shuffled labels with a lower score; a score that is not beyond those tells nothing of the task.",
        (
            Column("encoder"), Column("task"), Column("measure"), Column("value"), Column("n", hint="images"),
            Column("percentile", 1, "of shuffled labels"), Column("seconds", 2, "of the value alone"),
        ),
        tuple(rows),
    )  # fmt: skip


def alphas_table(groups: Sequence[TunedTask]) -> Table:
    """Return a row an encoder, technique, task and alpha: accuracies on the task and on the others."""
    rows = [
        Row((
            of.encoder, of.technique, of.task, alpha, of.at_alpha(alpha, TASK).n,
            *(
                _over_seeds(of.at_alpha(alpha, role, number))
                for role in (TASK, MEAN_OF_OTHERS)
                for number in ("accuracy", "change")
            ),
        ))
        for of in groups
        for alpha in of.alphas
    ]  # fmt: skip
    return Table(
        "transfer_alphas", "Weights between zero-shot and fine-tuned",
        "Accuracy with weights (1 − α) zero-shot + α fine-tuned, and its change against zero-shot: mean ± standard "
        "deviation (ddof 1) over n seeds; intervals over the images of one run are in its interpolation.csv.",
        (
            Column("encoder"), Column("technique"), Column("task"), Column("α", 2), Column("n", hint="seeds"),
            Column("accuracy", hint="on the task"), Column("change", hint="against zero-shot"),
            Column("other tasks", hint="mean of their accuracies"),
            Column("their change", hint="mean change of their accuracies against zero-shot"),
        ),
        tuple(rows),
    )  # fmt: skip


def settings_table(tried: Sequence[Setting]) -> Table:
    """Return the settings that tasks were trained with where these are several, and which of them count."""
    rows = [
        Row(
            (
                one.encoder, one.technique, one.task, one.text, one.runs, one.held_out_accuracy,
                "yes" if one.chosen else "no",
            ),
            mark="best" if one.chosen else "",
        )
        for one in tried
    ]  # fmt: skip
    return Table(
        "transfer_settings", "Settings that were tried",
        "Every other table and figure takes the setting with the largest mean accuracy on held-out training images, "
        "at the best epoch; no test image chooses.",
        (
            Column("encoder"), Column("technique"), Column("task"), Column("setting"), Column("n", hint="seeds"),
            Column("held-out accuracy"), Column("chosen"),
        ),
        tuple(rows),
    )  # fmt: skip
