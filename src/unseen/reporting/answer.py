"""The answer in words: which network, which layer, how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unseen.reporting.analysis import Contest, Difference, Setting
from unseen.reporting.groups import unlike
from unseen.reporting.paper import TOLERANCE, PaperRow
from unseen.reporting.probe_facts import references
from unseen.reporting.statistics import Estimate

_FEW_SEEDS = 5
_FEW_POINTS = 10
_TOLD_APART = 0.05


@dataclass(frozen=True)
class Answer:
    """The answer for one data set.

    Attributes:
        headline: One sentence: which network, which layer, g with its interval and n.
        details: How sure: seeds, the last layer, the next network, raw pixels.
    """

    headline: str
    details: str


def answer(contest: Contest) -> Answer:
    """Return the answer for one data set; it says where one run or raw pixels leave nothing to conclude."""
    setting = contest.winner
    group, g = setting.group, setting.g
    layer = f"layer {g.best_layer} of 0 to {setting.last_layer} ({group.layer_names[g.best_layer]})"
    runs = int(g.wins.sum())
    rivals = f" of {len(contest.settings)} {_kind(contest.settings)}" if len(contest.settings) > 1 else ""
    score = _with_interval(g.of_mean) if runs > 1 else f"{_with_interval(g.of_mean)} in one run"
    headline = (
        f"On {contest.data} ({contest.size} size) {group.label} separates classes it has never seen best{rivals}, "
        f"at {layer}: g = {score}."
    )
    last, pixels = _last_layer(setting), _pixels(setting)
    details = [_how_often(setting, runs), last, _rival(contest), pixels]
    return Answer(headline, " ".join(text for text in details if text))


def _how_often(setting: Setting, runs: int) -> str:
    if runs == 1:
        return "This is one run: how much another seed would change it is not known."
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
    ours, theirs = first.g.of_mean.mean, second.g.of_mean.mean
    level, name = f"{theirs:.2f}", second.group.label
    if level == f"{ours:.2f}":
        level = f"{theirs:.3f} against {ours:.3f}"
    if ours - theirs < 0.0005:
        level = f"practically the same g ({theirs:.3f})"
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
    settings, kind = contest.settings, _kind(contest.settings)
    found = []
    differing = unlike([setting.group for setting in settings])
    if differing:
        found.append(
            f"Not all {kind} were measured alike, so their order may come from that: {'; '.join(differing)}."
        )
    if len(settings) > 1:
        found.append(_inside(settings))
    found.append(_monotone(settings))
    found.append(_accuracy(contest, kind))
    measured = [setting for setting in settings if setting.over_pixels.n]
    if len(settings) > 1 and measured:
        above = sum(setting.over_pixels.mean > 0 for setting in measured)
        found.append(f"{above} of {len(measured)} {kind} have a layer above the raw pixels.")
    levels = [level.kind for setting in settings for level in references(setting.group, "unseen", "nmi")]
    if "chance" not in levels:
        found.append("NMI by chance (permuted labels) was not measured in these runs.")
    return found


def _accuracy(contest: Contest, kind: str) -> str:
    found = contest.accuracy_and_g
    if math.isnan(found.spearman):
        return (
            "Whether accuracy on seen classes ranks networks as g does cannot be asked: it needs three whose accuracy "
            f"is known and differs ({found.n} here)."
        )
    verdict = "agree beyond chance" if found.spearman_p < _TOLD_APART else "do not agree beyond chance"
    few = f"; so few {kind} show only a very strong relation" if found.n < _FEW_POINTS else ""
    return (
        f"Accuracy on seen classes and g {verdict}: Spearman ρ = {_signed(found.spearman)} over {found.n} {kind} "
        f"(p = {found.spearman_p:.2f}), Kendall τ = {_signed(found.kendall)} (p = {found.kendall_p:.2f}){few}."
    )


def _inside(settings: Sequence[Setting]) -> str:
    inside = [setting for setting in settings if not setting.best_is_last]
    sure = [setting for setting in inside if setting.over_last.low > 0]
    text = f"The best layer is not the last in {len(inside)} of {len(settings)} {_kind(settings)}"
    if inside:
        text += f"; in {len(sure)} of these the 95 % interval of the difference leaves out zero"
    return text + "."


def _monotone(settings: Sequence[Setting]) -> str:
    judged = [setting for setting in settings if setting.shape.judged_by]
    if not judged:
        return "Whether NMI rises steadily with depth cannot be judged: one run each, k-means noise not measured."
    turning = sum(setting.shape.sign_changes > 0 for setting in judged)
    if len(settings) == 1:
        return f"NMI {'turns' if turning else 'does not turn'} on its way through the layers, beyond the uncertainty."
    return (
        f"NMI turns at least once on its way through the layers, beyond the uncertainty, in {turning} of "
        f"{len(judged)} {_kind(settings)}."
    )


def paper_sentence(rows: Sequence[PaperRow]) -> str:
    """Return what the comparison with the papers amounts to."""
    ours = [row for row in rows if row.ours]
    if not ours:
        return (
            "No run here is comparable with the papers (size=paper, their pooling, k 500, one k-means start, step "
            "500): nothing on this page is a reproduction of them."
        )
    within = sum(bool(row.within) for row in ours)
    return (
        f"{len(ours)} of {len(rows)} printed numbers were run with the papers' settings; {within} of these are within "
        f"the tolerance of {TOLERANCE}."
    )


def _with_interval(found: Estimate, *, runs: bool = True) -> str:
    if math.isnan(found.low):
        return f"{found.mean:.2f}"
    counted = f", {found.n} seeds" if runs else ""
    return f"{found.mean:.2f} (95 % interval {_signed(found.low)} to {_signed(found.high)}{counted})"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _kind(settings: Sequence[Setting]) -> str:
    """Return what the settings are: networks, unless one network was run in several ways."""
    return "networks" if len({setting.group.model for setting in settings}) == len(settings) else "settings"


def _count(number: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(number, str(number))
