"""The results in words: which network, which layer, how certain. A claim is written only where its test allows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.layers.analysis import Analysis, Contest, DataSetPair, Pair
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.papers import TOLERANCE, PaperRow
from unseen.reporting.layers.place import trained_otherwise
from unseen.reporting.number_texts import p_text, signed, spans, unsigned, with_interval
from unseen.reporting.statistics.claims import OF_A_PAGE, SIGNIFICANT
from unseen.reporting.statistics.intervals import FEWEST, Estimate
from unseen.reporting.statistics.units import CLASS_SPLITS, IMAGE_DRAWS
from unseen.wording import count

_MOST_NAMED = 4


@dataclass(frozen=True)
class Summary:
    """The result of one contest."""

    headline: str  # which networks lead, with g, its interval and what that generalises over
    details: str  # how certain: runs, layer, its lead over the last one, what would settle it


def summarise(contest: Contest, analysis: Analysis) -> Summary:
    """Return the result of a contest: what its tests show, and what would be needed to show more."""
    best = contest.best
    details = [_runs(contest), _layer(contest, analysis), _lead(best, analysis), _settled(contest, analysis)]
    return Summary(_headline(contest, analysis), " ".join(text for text in details if text))


def _headline(contest: Contest, analysis: Analysis) -> str:
    members, best = contest.configurations, contest.best
    where = f"On {contest.title} ({contest.size} size), {_classes(contest)}, "
    rivals, leaders = f"{len(members)} {_kind(members)}", _leaders(contest, analysis)
    if len(members) == 1:
        text = f"{best.label} reaches {_g(contest, best)}; nothing else was run on these data"
    elif len(leaders) == 1:
        text = f"{best.label} separates classes it has never seen best of {rivals}: {_g(contest, best)}"
    else:
        means = [_score(contest, config).mean for config in leaders]
        span = f"g = {min(means):.2f} to {max(means):.2f}"
        tested = [pair for pair in contest.pairs if {pair.first, pair.second} <= {*leaders}]
        apart = "not all of them can" if any(analysis.written[pair] for pair in tested) else "cannot"
        if len(leaders) == len(members):
            none = (
                "cannot be told apart"
                if apart == "cannot"
                else "have no one best: not all of them can be told apart"
            )
            text = f"the {rivals} {none}: {span}"
        elif len(leaders) > _MOST_NAMED:
            text = f"{len(leaders)} of {rivals} lead and {apart} be told apart: {span}"
        else:
            names = ", ".join(config.label for config in leaders[:-1])
            text = f"{names} and {leaders[-1].label} lead {rivals} and {apart} be told apart: {span}"
    return f"{where}{text}{_pixels(contest)}."


def _leaders(contest: Contest, analysis: Analysis) -> tuple[Configuration, ...]:
    """Return the ranking down to the last configuration that no test puts below the best."""
    ranked, of_best = contest.configurations, [pair for pair in contest.pairs if pair.first is contest.best]
    below = {pair.second for pair in of_best if analysis.written[pair] and pair.found.g.mean > 0}
    last = max(place for place, config in enumerate(ranked) if config not in below)
    return ranked[: last + 1]


def _score(contest: Contest, config: Configuration) -> Estimate:
    return config.g.plain if contest.by_plain_g else config.score


def _g(contest: Contest, config: Configuration) -> str:
    score, plain = _score(contest, config), config.g.plain
    as_papers = "" if score is plain else f"; {plain.mean:.2f} as the papers choose the layer"
    return f"g = {with_interval(score)}{as_papers}"


def _classes(contest: Contest) -> str:
    """Return which classes are unseen."""
    names, runs = list(contest.splits.values()), contest.best.runs
    if len(names) == 1:
        return f"unseen classes {names[0]}" if runs[0].split else "for its unseen classes"
    kind, of_classes = contest.best.kind_of_splits(contest.splits), runs[0].facts.unseen_classes or "the"
    if kind == IMAGE_DRAWS:
        return f"over {len(names)} draws of the images, unseen classes {runs[0].classes}"
    again = "" if kind == CLASS_SPLITS else ", some of them the same classes with other images"
    return f"over {len(names)} choices of {of_classes} unseen classes{again}"


def _pixels(contest: Contest) -> str:
    """Return a clause where no network does better than no network at all, in the mean."""
    measured = [config for config in contest.configurations if config.over_pixels.n]
    if len(measured) < len(contest.configurations) or any(config.over_pixels.mean > 0 for config in measured):
        return ""
    best = contest.best
    pixels = best.references("unseen", "nmi")["pixels"].values[0]
    of = "any network" if len(measured) > 1 else "it"
    return f"; the raw pixels reach {pixels:.2f}, and no layer of {of} does better"


def _runs(contest: Contest) -> str:
    units, scored = contest.best.units, _score(contest, contest.best)
    if scored.n < 2:
        noise = contest.best.noise
        sd = None if noise is None else noise[contest.best.g.best_layer]
        measured = (
            "" if sd is None else f", only that k-means alone moves it by {sd:.2f} (standard deviation)"
        )
        runs = "one seed" if len(units.counted) > 1 else "one run"  # one seed of several choices of classes
        if all(_score(contest, config).n < 2 for config in contest.configurations):
            subject = f"This is {runs}{' each' * (len(contest.configurations) > 1)}"
        else:  # of others there are more
            subject = f"{contest.best.label} has {runs}"
        return f"{subject}: how much another seed would change it is not known{measured}."
    text = f"{contest.best.label} has {units}"
    if scored.n < FEWEST:
        return f"{text}: too few for an interval or a test, which take three."
    text = f"{text}; intervals and tests are over {units.scope}."
    if units.over == "splits" and len({seed for _, seed in units.counted}) == 1:
        text += " What another seed would do to all of them cannot be seen."
    return text


def _layer(contest: Contest, analysis: Analysis) -> str:
    config = contest.best
    of_one_run = config.g.plain.n < 2
    several = of_one_run and len(contest.configurations) > 1  # the sentence before is about all of them
    if config.last_layer == 0:
        return f"{config.label if several else 'It'} has only this layer."
    g, name = config.g, config.layer_names[config.g.best_layer]
    whose = f"The best layer of {config.label}" if several else "Its best layer"
    text = f"{whose}{'' if of_one_run else ' in the mean'} is {g.best_layer} of 0 to {config.last_layer} ({name})"
    excluded = {g.best_layer, config.last_layer if analysis.written[config, "lead"] else None}
    others = [layer for layer in np.flatnonzero(g.candidates).tolist() if layer not in excluded]
    if g.plain.n < FEWEST:
        return f"{text}."
    if not others:
        return f"{text}; every other layer is excluded."
    return f"{text}; {_numbers('layer', others)} cannot be excluded."


def _numbers(noun: str, numbers: Sequence[int]) -> str:
    """Return numbers in words, runs of them shortened.

    >>> _numbers("layer", [2]), _numbers("layer", [0, 1, 2, 3, 7])
    ('layer 2', 'layers 0–3, 7')
    """
    return f"{noun if len(numbers) == 1 else noun + 's'} {spans(numbers)}"


def _lead(config: Configuration, analysis: Analysis) -> str:
    found, n = config.lead, config.g.plain.n
    if config.last_layer == 0 or n < FEWEST:
        return ""
    if analysis.written[config, "lead"]:
        return f"It lies above the last layer by {with_interval(found.nmi)}, {p_text(found.p)}."
    if config.best_is_last:
        return "That is the last layer."
    inside = n - int(config.g.wins[-1])
    return (
        f"That it lies above the last layer is not shown ({p_text(found.p)}): the best layer is another than the last "
        f"in {inside} of {n} {config.units.noun}; by chance alone it is so in {100 * found.by_chance:.0f} %."
    )


def _settled(contest: Contest, analysis: Analysis) -> str:
    """Return what would tell the best two apart."""
    if not contest.pairs or analysis.written[contest.pairs[0]]:
        return ""
    pair = contest.pairs[0]
    n = pair.found.g.n
    if n < 2:
        shared = "one class split and seed only" if pair.units.cells else "no class split with a common seed"
        return f"The best two share {shared}, so they cannot be compared."
    if not pair.found.g.mean:
        return f"{pair.first.label} and {pair.second.label} have the same g."
    above = f"{pair.first.label} is above {pair.second.label} in {pair.found.first_above} of {n} {pair.units.noun}"
    p = f" ({p_text(pair.found.p)})" if n >= FEWEST else ""
    return f"{above}, by {signed(pair.found.g.mean, '.3f')} in the mean{p}{_needed(pair)}."


def _needed(pair: Pair) -> str:
    mean, spread, over = pair.found.g.mean, pair.spread, pair.units.over
    if pair.found.g.n < FEWEST or math.isnan(spread.split if over == "splits" else spread.residual):
        return ""  # the spread of two differences is nothing to go by
    seeds = round(len(pair.units.counted) / pair.units.splits)
    number = spread.splits_needed(mean, seeds) if over == "splits" else spread.seeds_needed(mean)
    each = f" of {count(seeds, 'seed')}" if over == "splits" else ""
    if number is not None and number <= pair.found.g.n:
        return ""  # so many were run: with the layer's choice and the page's other tests they were not enough
    shown = "more than 1,000" if number is None else f"about {number}"
    return f"; to find such a difference in 80 % of cases takes {shown} {pair.units.noun}{each}"


def findings(contest: Contest, analysis: Analysis) -> list[str]:
    """Return what one contest shows on the papers' three claims, each with its n."""
    members = contest.configurations
    sentences = []
    trained = trained_otherwise([config.place for config in members])
    if trained:
        text = "; ".join(trained)
        sentences.append(f"Not all networks were trained alike, so their order may come from that: {text}.")
    for config in members:
        if config.undefined:
            names = ", ".join(run.name for run in config.undefined)
            sentences.append(
                f"{config.label}: {names} lacks the NMI of a layer that most other runs have, so it is in no "
                "comparison of layers or networks."
            )
    if len(members) > 1:
        sentences.append(_inside(members, analysis))
    sentences += [_turns(members, analysis), *_training(members, analysis), _accuracy(contest, analysis)]
    measured = [config for config in members if config.over_pixels.n]
    if len(members) > 1 and measured:
        above = sum(config.over_pixels.mean > 0 for config in measured)
        sentences.append(
            f"In the mean {above} of {len(measured)} {_kind(members)} have a layer above the raw pixels."
        )
    if not any("chance" in config.references("unseen", "nmi") for config in members):
        sentences.append("NMI by chance (permuted labels) was not measured in these runs.")
    return sentences


def _inside(members: Sequence[Configuration], analysis: Analysis) -> str:
    inside = sum(not config.best_is_last for config in members)
    expected = sum(config.lead.by_chance for config in members)
    shown = sum(analysis.written[config, "lead"] for config in members)
    return (
        f"The best layer is not the last in {inside} of {len(members)} {_kind(members)}; if all layers were equal, "
        f"chance would give {expected:.1f}. A lead over the last layer is shown for {shown}."
    )


def _turns(members: Sequence[Configuration], analysis: Analysis) -> str:
    judged = [config for config in members if config.turning.kind]
    if not judged:
        return "Whether NMI only rises or falls with depth cannot be judged: that takes three layers, and three seeds."
    turning = [config for config in judged if analysis.written[config, "turns"]]
    if not turning:
        none = "is shown for none" if len(judged) > 1 else "is not shown"
        return f"That NMI does more than rise or fall with depth {none}{_of(judged)}."
    which = ", ".join(
        f"{config.label} ({config.turning.kind} at layer {config.turning.layer})" for config in turning
    )
    of = f" in {len(turning)}{_of(judged)}" if len(judged) > 1 else ""
    return f"NMI neither only rises nor only falls with depth{of}: {which}."


def _training(members: Sequence[Configuration], analysis: Analysis) -> list[str]:
    """Return what training did to g: a sentence for the configurations where it is shown, one for the others."""
    shown, others = [], []
    for config in members:
        found = config.training
        if found is None:
            continue
        if analysis.written[config, "training"]:
            verb = "raised" if found.g.mean > 0 else "lowered"
            shown.append(f"{verb} g of {config.label} by {with_interval(unsigned(found.g))}")
        elif found.g.n < 2:
            before, after = config.g_of_steps[0].mean, config.g_of_steps[-1].mean
            others.append(f"{config.label} from {signed(before)} to {signed(after)} in one run")
        else:
            higher = f"higher in {found.first_above} of {found.g.n} {config.units.noun}"
            others.append(f"{config.label} {higher}, {signed(found.g.mean, '+.2f')} in the mean")
    texts = [f"Training {', '.join(shown)}."] if shown else []
    return texts + ([f"What training did to g is not shown: {'; '.join(others)}."] if others else [])


def _of(members: Sequence[Configuration]) -> str:
    return f" of {len(members)} {_kind(members)}" if len(members) > 1 else ""


def _accuracy(contest: Contest, analysis: Analysis) -> str:
    found = contest.association
    if math.isnan(found.rho):
        return (
            "Whether accuracy on seen classes ranks networks as g does cannot be tested: it needs three whose accuracy "
            f"is known and differs ({found.n} here)."
        )
    numbers = f"Spearman ρ = {signed(found.rho)} over {found.n} networks, {p_text(found.p)}"
    if analysis.written[contest]:
        verb = (
            "rank the networks alike"
            if found.rho > 0
            else "contradict each other: the higher the one, the lower the other"
        )
        return f"Accuracy on seen classes and g {verb} ({numbers})."
    if found.smallest_p > SIGNIFICANT:
        limit = f"{found.n} networks cannot show it: the smallest possible p is {found.smallest_p:.2f}"
    else:
        limit = f"so many networks would find a true correlation of {found.detectable:.2f} in 80 % of cases"
    return f"No relation of accuracy on seen classes and g is shown ({numbers}); {limit}."


def across_data(pair: DataSetPair, analysis: Analysis) -> str:
    """Return whether the networks' curves look alike on two data sets."""
    found = pair.agreement
    positive = f"ρ above zero in {found.positive} of {found.n} networks"
    numbers = f"{positive}, {signed(found.rho)} in the mean, {p_text(found.p)}"
    named = f"{pair.first} and {pair.second} ({pair.size} size)"
    if analysis.written[pair]:
        verb = "agree" if found.rho > 0 else "contradict each other"
        return f"The curves over layers on {named} {verb}: {numbers}."
    return f"That the curves over layers on {named} agree or contradict each other is not shown: {numbers}."


def claims_sentence(analysis: Analysis) -> str:
    """Return by which rule claims are written, and how many of this page's tests passed it."""
    tested = sum(not math.isnan(p) for p in analysis.p_values.values())
    if not tested:
        return "No claim on this page is tested: a test takes three seeds or class splits."
    of_parts = "" if analysis.parts == 1 else f", and for the page's {analysis.parts} parts that test,"
    return (
        f"Of {count(tested, 'test')} of networks and their layers {sum(analysis.written.values())} passed. A claim is "
        f"written where its own p is at most {SIGNIFICANT} and, corrected by Holm for all of these{of_parts} at most "
        f"{OF_A_PAGE}."
    )


def paper_sentence(rows: Sequence[PaperRow]) -> str:
    """Return what the comparison with the papers amounts to."""
    ours = [row for row in rows if row.ours]
    if not ours:
        return (
            "No run here is comparable with the papers (every setting of theirs, scored at step 500): nothing on this "
            "page is a reproduction of them."
        )
    within, known = sum(row.within for row in ours), [row for row in ours if row.others is not None]
    blind = sum(row.others_within for row in known)
    return (
        f"{len(ours)} of {len(rows)} printed numbers were run with the papers' settings; {within} of these are within "
        f"the tolerance of {TOLERANCE}. The mean of the other networks' printed numbers would be within it in {blind} "
        f"of {len(known)}, so only what exceeds that says that a network was reproduced."
    )


def _kind(members: Sequence[Configuration]) -> str:
    """Return "networks", or "configurations" where one network was run in several ways."""
    return "networks" if len({config.model for config in members}) == len(members) else "configurations"
