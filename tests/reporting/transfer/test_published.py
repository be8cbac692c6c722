"""The paper's numbers, and that they are numbers of its encoders."""

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
