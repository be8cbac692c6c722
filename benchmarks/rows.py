"""A row of the table: what was timed, the ratio of the pairs, the target, the floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.timing import PAIRS, Pair, Spread, spread

HEADER = ("name", "ours", "reference", "ratio (least .. most)", "target", "met", "floor", "ours/floor")


@dataclass
class Row:
    """One claim.

    Attributes:
        name: How it is selected and cited.
        what: A sentence: our side, the other side, the size.
        unit: Of `ours`, `reference` and `floor`.
        ours: Spread of our side; None: not measured.
        reference: Spread of the other side; None: there is none, and the target is for `ours` itself.
        ratio: Spread over the pairs of `ratio_of`.
        ratio_of: "reference / ours" (a speed-up, more is better) or "ours / reference" (less is better).
        at_least: Target of the ratio.
        at_most: Target of the ratio, or of `ours` where there is no reference.
        floor: The least that our side could take on this machine.
        pairs: The raw pairs.
        details: Further numbers: phases, scores, exponents.
        notes: What a reader must know.
        needed: Measurements without which a target is neither met nor missed.
        not_measured: The reason, where there is nothing.
    """

    name: str
    what: str
    unit: str = "s"
    ours: Spread | None = None
    reference: Spread | None = None
    ratio: Spread | None = None
    ratio_of: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    floor: float | None = None
    pairs: list[Pair] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    needed: int = PAIRS
    not_measured: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none, or too little was measured."""
        found = self.ratio if self.reference is not None else self.ours
        if found is None or found.count < self.needed:
            return None
        if self.at_least is not None:
            return found.median >= self.at_least
        return None if self.at_most is None else found.median <= self.at_most

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        if self.at_most is None:
            return ""
        return f"<= {self.at_most:g}" + (f" {self.unit}" if self.reference is None else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the named fields of spreads."""
        plain = asdict(self)
        for key in ("ours", "reference", "ratio"):
            value: Spread | None = getattr(self, key)
            plain[key] = None if value is None else value._asdict()
        plain["pairs"] = [list(pair) for pair in self.pairs]
        above = None if not self.floor or self.ours is None else self.ours.median / self.floor
        return plain | {"target": self.target, "met": self.met, "ours_over_floor": above}


def paired(
    name: str,
    what: str,
    pairs: Sequence[Pair],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    **fields: Any,
) -> Row:
    """Return the row of pairs; `at_least` makes the ratio a speed-up, `at_most` an overhead."""
    return Row(
        name,
        what,
        ours=spread([pair.ours for pair in pairs]),
        reference=spread([pair.reference for pair in pairs]),
        ratio=spread(
            [
                pair.ours / pair.reference if at_most is not None else pair.reference / pair.ours
                for pair in pairs
            ]
        ),
        ratio_of="ours / reference" if at_most is not None else "reference / ours",
        at_least=at_least,
        at_most=at_most,
        pairs=list(pairs),
        **fields,
    )


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the texts of a row of `Row.to_dict`, in the order of `HEADER`."""
    if row["not_measured"]:
        return (row["name"], "not run", "", "", row["target"], "", "", "")
    met = {True: "yes", False: "no", None: ""}[row["met"]]
    ratio = ""
    if row["ratio"] is not None:
        found = row["ratio"]
        ratio = f"{found['median']:.2f} ({found['least']:.2f} .. {found['most']:.2f})"
        if found["count"] < PAIRS:
            ratio += f", {found['count']} of {PAIRS} pairs"
    floor, above = row["floor"], row["ours_over_floor"]
    return (
        row["name"],
        _quantity(row["ours"], row["unit"]),
        _quantity(row["reference"], row["unit"]),
        ratio,
        row["target"],
        met,
        "" if floor is None else f"{floor:.3g} {row['unit']}",
        "" if above is None else f"{above:.1f}",
    )


def _quantity(found: dict[str, float] | None, unit: str) -> str:
    return "" if found is None else f"{found['median']:.3g} {unit}"


def text_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return an aligned table for a terminal."""
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(results: dict[str, Any]) -> str:
    """Return the table of a results file, under a line on the machine."""
    machine, floors = results["machine"], results["floors"]
    versions = ", ".join(
        f"{name} {machine['versions'][name]}"
        for name in ("torch", "lightning", "timm", "scikit-learn", "numpy")
    )
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, {machine['torch_threads']} threads; "
        f"Python {machine['python']}, {versions}; commit {machine['commit']}; load {machine['load_average'][0]:g} at "
        f"the start; {results['size']} size, {results['seconds'] / 60:.1f} minutes.",
        "",
        f"Floors: matrix product {floors['float32_gflops']:.0f} GFLOP/s in float32, {floors['bfloat16_gflops']:.0f} in "
        f"bfloat16; copy {floors['copy_gbytes']:.1f} GB/s.",
        "",
        _line(HEADER),
        _line(["---"] * len(HEADER)),
        *(_line(cells(row)) for row in results["rows"]),
    ]
    lines += ["", *(f"- `{row['name']}`: {remark}" for row in results["rows"] for remark in remarks(row))]
    return "\n".join(lines)


def remarks(row: dict[str, Any]) -> list[str]:
    """Return what must be said beside a row."""
    return ([f"not run: {row['not_measured']}"] if row["not_measured"] else []) + row["notes"]


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


Report = Callable[[str], None]
"""Shows a line of progress."""
