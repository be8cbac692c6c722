"""The answer in words: which network, which layer, how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unseen.reporting.analysis import Contest, Difference, Setting
from unseen.reporting.paper import PaperRow
from unseen.reporting.probe_facts import references
from unseen.reporting.statistics import Estimate

_FEW_SEEDS = 5
_TOLD_APART = 0.05


def answer(contest: Contest) -> str:
    """Return the answer for one data set, one to four plain sentences.

    It names network, layer and uncertainty, and says so where one run or raw pixels leave nothing to conclude.
    """
    setting = contest.winner
    group, g = setting.group, setting.g
    layer = f"layer {g.best_layer} of 0 to {setting.last_layer} ({group.layer_names[g.best_layer]})"
    runs = int(g.wins.sum())
    if len(contest.settings) == 1:
        opening = f"{group.label} separates the classes it has never seen best at {layer}"
    else:
        opening = f"{group.label} separates the classes it has never seen best of {len(contest.settings)} networks, at {layer}"
    sentences = [f"On {contest.data} ({contest.size} size) {opening}: g = {_with_interval(g.of_mean)}."]
    if runs == 1:
        sentences.append("This is one run: how much another seed would change it is not known.")
    else:
        sentences.append(_how_often(setting, runs))
    sentences.append(_last_layer(setting))
    rival = _rival(contest)
    if rival:
        sentences.append(rival)
    warning = _pixels(setting)
    if warning:
        sentences.append(warning)
    return " ".join(sentences)


def _how_often(setting: Setting, runs: int) -> str:
    won = int(setting.g.wins[setting.g.best_layer])
    text = f"That layer is the best in {won} of {runs} seeds"
    if runs < _FEW_SEEDS:
        text += f"; {_count(runs)} seeds are few, so read the interval as the range of the runs"
    return text + "."


def _last_layer(setting: Setting) -> str:
    if setting.last_layer == 0:
        return "It has only this layer."
    if setting.best_is_last:
        return "Its best layer is the last one."
    found = setting.over_last
    last = setting.g.of_mean.mean - found.mean
    text = f"Its last layer has {last:.2f}, which is lower by {_with_interval(found, runs=False)}"
    if found.n > 1 and found.low <= 0:
        return text + ": the runs do not settle that the last layer is worse."
    return text + "."


def _rival(contest: Contest) -> str:
    if len(contest.settings) == 1:
        return "No other network was run on these data, so nothing says that it is the right choice."
    first, second = contest.settings[:2]
    name, level = second.group.label, f"{second.g.of_mean.mean:.2f}"
    pair = next((one for one in contest.differences if one.first is first and one.second is second), None)
    if pair is None or pair.g.n == 0:
        return f"Next is {name} with {level}; they share no seed, so the two are not compared."
    return f"Next is {name} with {level}; {_told_apart(pair)}."


def _told_apart(pair: Difference) -> str:
    n = pair.g.n
    if n == 1:
        return "with one shared seed the two cannot be told apart"
    if pair.p < _TOLD_APART:
        return f"the difference of {_with_interval(pair.g, runs=False)} is beyond chance (p = {pair.p:.3f}, {n} seeds)"
    if pair.agree == n:
        return f"it is below in all {n} shared seeds, which are too few to be sure"
    return f"over {n} shared seeds the two cannot be told apart"


def _pixels(setting: Setting) -> str:
    found = setting.over_pixels
    if found.n == 0 or found.mean > 0:
        return ""
    pixels = setting.g.of_mean.mean - found.mean
    return f"Mind that the raw pixels reach {pixels:.2f}: here no layer does better than no network at all."


def findings(contest: Contest) -> list[str]:
    """Return what one data set says about the papers' three claims, each with its n."""
    settings, n = contest.settings, len(contest.settings)
    found = [_inside(settings), _monotone(settings)]
    agreement = contest.accuracy_and_g
    if n < 3 or math.isnan(agreement.spearman):
        found.append(
            f"Does accuracy on seen classes rank networks as g does? Cannot be asked: it needs three networks whose "
            f"accuracy is known and differs ({agreement.n} here)."
        )
    else:
        verdict = (
            "agree beyond chance" if agreement.spearman_p < _TOLD_APART else "do not agree beyond chance"
        )
        few = "; so few networks show only a very strong relation" if agreement.n < 10 else ""
        found.append(
            f"Accuracy on seen classes and g {verdict}: Spearman ρ = {_signed(agreement.spearman)} over {agreement.n} "
            f"networks (p = {agreement.spearman_p:.2f}), Kendall τ = {_signed(agreement.kendall)} "
            f"(p = {agreement.kendall_p:.2f}){few}."
        )
    measured = [setting for setting in settings if setting.over_pixels.n]
    above = sum(setting.over_pixels.mean > 0 for setting in measured)
    if measured:
        found.append(f"{above} of {len(measured)} networks have a layer above the raw pixels.")
    chance = [
        level
        for setting in settings
        for level in references(setting.group, "unseen", "nmi")
        if level.kind == "chance"
    ]
    if not chance:
        found.append("NMI by chance (permuted labels) was not measured in these runs.")
    return found


def _inside(settings: Sequence[Setting]) -> str:
    inside = [setting for setting in settings if not setting.best_is_last]
    sure = [setting for setting in inside if setting.over_last.low > 0]
    text = f"The best layer is not the last in {len(inside)} of {len(settings)} networks"
    if inside:
        text += f"; in {len(sure)} of these the 95 % interval of the difference leaves out zero"
    return text + "."


def _monotone(settings: Sequence[Setting]) -> str:
    judged = [setting for setting in settings if setting.shape.judged_by]
    if not judged:
        return "Whether NMI rises steadily with depth cannot be judged: one run each, and k-means noise not measured."
    turning = sum(setting.shape.sign_changes > 0 for setting in judged)
    return f"NMI turns at least once on its way through the layers, beyond the uncertainty, in {turning} of {len(judged)} networks."


def paper_sentence(rows: Sequence[PaperRow]) -> str:
    """Return what the comparison with the papers amounts to."""
    ours = [row for row in rows if row.ours]
    if not ours:
        return (
            "No run here is comparable with the papers (size=paper, their pooling, k 500, one k-means start, step 500): "
            "nothing on this page is a reproduction of them."
        )
    within = sum(bool(row.within) for row in ours)
    return f"{len(ours)} of {len(rows)} printed numbers were run with the papers' settings; {within} are within the tolerance."


def _with_interval(found: Estimate, *, runs: bool = True) -> str:
    if math.isnan(found.low):
        return f"{found.mean:.2f}"
    counted = f", {found.n} seeds" if runs else ""
    return f"{found.mean:.2f} (95 % interval {_signed(found.low)} to {_signed(found.high)}{counted})"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _count(number: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(number, str(number))
