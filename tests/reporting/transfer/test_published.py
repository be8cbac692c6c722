"""The paper's numbers, and that they are numbers of its encoders."""

import math
from pathlib import Path

from unseen.reporting.transfer.published import published_numbers
from unseen.transfer import SCORES

ENCODERS = Path(__file__).parents[3] / "configs" / "encoder"


def test_published_numbers() -> None:
    found = published_numbers()
    assert len(found) == 14 + 24
    values = {(one.encoder, one.measure, one.statistic): one.value for one in found}
    assert values["clip_vit_b32", "iimm", "r2"] == 0.92
    assert values["siglip_vit_b16", "h_score", "tau"] == -0.67
    assert values["eva02_b16", "emms", "tau"] == 0.28
    assert {one.measure for one in found} <= set(SCORES)
    known = {path.stem for path in ENCODERS.glob("*.yaml") if "architecture:" in path.read_text()}
    assert {one.encoder for one in found} == known | {"all four"}
    assert all((one.value_high > one.value) == (one.encoder == "all four") for one in found)


def is_tau_b(value: float, ties: int) -> bool:
    """Whether tau-b of nine points may be this to two digits, with so many tied pairs in both orders together."""
    for in_x in range(ties + 1):
        untied = (36 - in_x, 36 - (ties - in_x))
        for agreeing_less_disagreeing in range(-min(untied), min(untied) + 1):
            if abs(agreeing_less_disagreeing / math.sqrt(untied[0] * untied[1]) - value) <= 0.005:
                return (
                    ties > 0 or agreeing_less_disagreeing % 2 == 0
                )  # 36 pairs without a tie: an even difference
    return False


def test_two_taus_of_ncti_are_none_of_nine_tasks_without_ties() -> None:
    """The page says so beside them; they are copied, not corrected."""
    taus = {(one.encoder, one.measure): one.value for one in published_numbers() if one.statistic == "tau"}
    odd = {key: value for key, value in taus.items() if not is_tau_b(value, ties=0)}
    assert odd == {("eva02_b16", "ncti"): -0.59, ("clip_vit_b32", "ncti"): 0.07}
    assert [next(ties for ties in range(1, 36) if is_tau_b(value, ties)) for value in odd.values()] == [1, 10]
    assert round(-21 / math.sqrt(35 * 36), 2) == -0.59
