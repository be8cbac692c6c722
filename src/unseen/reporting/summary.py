"""The results in words: which network, which layer, how certain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unseen.reporting.analysis import Contest, Difference
from unseen.reporting.configuration import Configuration
from unseen.reporting.papers import TOLERANCE, PaperRow
from unseen.reporting.place import trained_otherwise
from unseen.reporting.statistics import Estimate

SIGNIFICANT = 0.05
_FEW_SEEDS = 5
_FEW_POINTS = 10


@dataclass(frozen=True)
class Summary:
    """The result for one data set."""

    headline: str  # one sentence: which network, which layer, g with its interval and n
    details: str  # how certain: seeds, the last layer, the next network, raw pixels


def summarise(contest: Contest) -> Summary:
    """Return the result for one data set, and where one run or raw pixels allow no conclusion."""
    best, many = contest.best, len(contest.configurations)
    g, runs = best.g, len(best.runs)
    layer = f"layer {g.best_layer} of 0 to {best.last_layer} ({best.layer_names[g.best_layer]})"
    rivals = f" of {many} {_kind(contest.configurations)}" if many > 1 else ""
    score = _with_interval(g.of_mean) + (" in one run" if runs == 1 else "")
    headline = (
        f"On {contest.data} ({contest.size} size) {best.label} separates classes it has never seen best{rivals}, "
        f"at {layer}: g = {score}."
    )
    details = [_how_often(best, runs), _last_layer(best), _next(contest), _pixels(best)]
    return Summary(headline, " ".join(text for text in details if text))


def _how_often(config: Configuration, runs: int) -> str:
    if runs == 1:
        return "This is one run: how much another seed would change it is not known."
    text = f"That layer is the best in {config.g.wins[config.g.best_layer]} of {runs} seeds"
    if runs < _FEW_SEEDS:
        count = {2: "two", 3: "three", 4: "four"}[runs]
        text += f"; {count} seeds are few, so read the interval as the range of the runs"
    return text + "."


def _last_layer(config: Configuration) -> str:
    if config.last_layer == 0:
        return "It has only this layer."
    if config.best_is_last:
        return "Its best layer is the last one."
    margin = config.over_last
    last = config.g.of_mean.mean - margin.mean
    text = f"Its last layer has {last:.2f}, which is lower by {_with_interval(margin, runs=False)}"
    if margin.n > 1 and margin.low <= 0:
        return text + ": the runs do not show that the last layer is worse."
    return text + "."


def _next(contest: Contest) -> str:
    if len(contest.configurations) == 1:
        return "No other network was run on these data, so nothing shows that it is the right choice."
    first, second = contest.configurations[:2]
    ours, theirs = first.g.of_mean.mean, second.g.of_mean.mean
    level = f"{theirs:.2f}"
    if level == f"{ours:.2f}":
        level = f"{theirs:.3f} against {ours:.3f}"
    if ours - theirs < 0.0005:
        level = f"practically the same g ({theirs:.3f})"
    pair = contest.differences[0]  # of the best two
    if pair.g.n == 0:
        return f"Next is {second.label} with {level}; they share no seed, so the two are not compared."
    return f"Next is {second.label} with {level}; {_verdict(pair)}."


def _verdict(pair: Difference) -> str:
    n = pair.g.n
    if n == 1:
        return "with one shared seed the two cannot be distinguished"
    if pair.p < SIGNIFICANT:
        return f"the difference of {_with_interval(pair.g, runs=False)} is beyond chance (p = {pair.p:.3f}, {n} seeds)"
    if pair.agree == n:
        return f"it is below in all {n} shared seeds, which are too few to be certain"
    return f"over {n} shared seeds the two cannot be distinguished"


def _pixels(config: Configuration) -> str:
    margin = config.over_pixels
    if margin.n == 0 or margin.mean > 0:
        return ""
    pixels = config.g.of_mean.mean - margin.mean
    return f"The raw pixels reach {pixels:.2f}: here no layer does better than no network at all."


def findings(contest: Contest) -> list[str]:
    """Return what one data set shows on the papers' three claims, each with its n."""
    members = contest.configurations
    kind, several = _kind(members), len(members) > 1
    sentences = []
    trained = trained_otherwise([config.place for config in members])
    if trained:
        sentences.append(
            f"Not all networks were trained alike, so their order may come from that: {'; '.join(trained)}."
        )
    if several:
        sentences.append(_inside(members, kind))
    sentences += [_monotone(members, kind), _accuracy(contest, kind)]
    measured = [config for config in members if config.over_pixels.n]
    if several and measured:
        above = sum(config.over_pixels.mean > 0 for config in measured)
        sentences.append(f"{above} of {len(measured)} {kind} have a layer above the raw pixels.")
    if not any("chance" in config.references("unseen", "nmi") for config in members):
        sentences.append("NMI by chance (permuted labels) was not measured in these runs.")
    return sentences


def _inside(members: Sequence[Configuration], kind: str) -> str:
    inside = [config for config in members if not config.best_is_last]
    text = f"The best layer is not the last in {len(inside)} of {len(members)} {kind}"
    if inside:
        beyond = sum(config.over_last.low > 0 for config in inside)
        text += f"; in {beyond} of these the 95 % interval of the difference excludes zero"
    return text + "."


def _monotone(members: Sequence[Configuration], kind: str) -> str:
    judged = [config for config in members if config.shape.judged_by]
    if not judged:
        return "Whether NMI rises steadily with depth cannot be judged: one run each, k-means noise not measured."
    turning = sum(config.shape.sign_changes > 0 for config in judged)
    if len(members) == 1:
        verb = "changes direction" if turning else "does not change direction"
        return f"NMI {verb} over the layers, beyond the uncertainty."
    return (
        f"NMI changes direction at least once over the layers, beyond the uncertainty, in {turning} of "
        f"{len(judged)} {kind}."
    )


def _accuracy(contest: Contest, kind: str) -> str:
    rho, tau = contest.spearman, contest.kendall
    if math.isnan(rho.value):
        return (
            "Whether accuracy on seen classes ranks networks as g does cannot be tested: it needs three whose accuracy "
            f"is known and differs ({rho.n} here)."
        )
    verdict = "agree beyond chance" if rho.p < SIGNIFICANT else "do not agree beyond chance"
    few = f"; so few {kind} show only a very strong relation" if rho.n < _FEW_POINTS else ""
    return (
        f"Accuracy on seen classes and g {verdict}: Spearman ρ = {_signed(rho.value)} over {rho.n} {kind} "
        f"(p = {rho.p:.2f}), Kendall τ = {_signed(tau.value)} (p = {tau.p:.2f}){few}."
    )


def paper_sentence(rows: Sequence[PaperRow]) -> str:
    """Return what the contest with the papers amounts to."""
    ours = [row for row in rows if row.ours]
    if not ours:
        return (
            "No run here is comparable with the papers (size=paper, their pooling, k 500, one k-means start, step "
            "500): nothing on this page is a reproduction of them."
        )
    within, known = sum(row.within for row in ours), [row for row in ours if row.others is not None]
    blind = sum(row.others_within for row in known)
    return (
        f"{len(ours)} of {len(rows)} printed numbers were run with the papers' settings; {within} of these are within "
        f"the tolerance of {TOLERANCE}. The mean of the other networks' printed numbers would be within it in {blind} "
        f"of {len(known)}, so only what exceeds that says that a network was reproduced."
    )


def _with_interval(estimate: Estimate, *, runs: bool = True) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.mean:.2f}"
    counted = f", {estimate.n} seeds" if runs else ""
    return f"{estimate.mean:.2f} (95 % interval {_signed(estimate.low)} to {_signed(estimate.high)}{counted})"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _kind(members: Sequence[Configuration]) -> str:
    """Return "networks", or "configurations" where one network was run in several ways."""
    return "networks" if len({config.model for config in members}) == len(members) else "configurations"
