"""Every .tex table of a report compiles in the document of docs/report.md, whatever classes are called."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, make_run, make_sweep

from unseen.reporting.build import build_report
from unseen.reporting.latex_text import latex_needs, latex_row, latex_text
from unseen.reporting.tables import Column, Row, Table, to_latex

ROOT = Path(__file__).parents[2]
NAMES = (
    r"a_b & 50% #1 ${x}$ ~^\end",
    "[0.5] ''--|<>`",
    "* café ß Ł ą «ñ» Zoë…",
    "cafe\N{COMBINING ACUTE ACCENT}",
)
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex here (apt-get install texlive-latex-recommended)"
)


def test_what_latex_would_join_or_read_as_an_argument_is_kept_apart() -> None:
    assert latex_text("---''") == "-{}-{}-'{}'"
    assert latex_text("–−") == r"\textendash{}$-$"
    assert latex_text("e\N{COMBINING ACUTE ACCENT}") == "é"
    assert latex_row(["* a", "[b]"]) == r"{}* a & [b] \\"


def test_the_first_line_names_what_the_document_needs() -> None:
    assert latex_needs("p ≤ .05 ± α", "booktabs") == r"% needs \usepackage{booktabs}"
    assert latex_needs("ą", "booktabs", "longtable") == (
        r"% needs \usepackage{booktabs,longtable} and \usepackage[T1]{fontenc}"
    )
    assert latex_needs("ą漢 ★", "booktabs").endswith("and xelatex or lualatex with a font that has ★漢")


def document() -> str:
    """The example of the documentation, without its table."""
    (block,) = re.findall(r"```latex\n(.*?)```", (ROOT / "docs/report.md").read_text(), re.DOTALL)
    return re.sub(r"\\input\{.*\}\n", r"BODY", block)


def compiled(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    (folder / "paper.tex").write_text(document().replace("BODY", body), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)


@needs_latex
@pytest.mark.slow
def test_every_table_of_a_report_compiles(tmp_path: Path) -> None:
    make_sweep(tmp_path / "runs", models=("vit", "swin", "poolformer"), data=("digits",), controls=True)
    labels = np.repeat(np.arange(len(NAMES)), 10)
    rng = np.random.default_rng(0)
    for seed in (0, 1):
        made = Made("resnet", NAMES[1], seed=seed, unseen=NAMES)
        folder = make_run(tmp_path / f"runs/own{seed}", made)
        layers = {f"unseen_{layer}": rng.normal(size=(len(labels), 3)) for layer in range(5)}
        np.savez(folder / "embeddings.npz", unseen_labels=labels, **layers)  # type: ignore[arg-type]
    build_report([tmp_path / "runs"], tmp_path / "report")
    tables = sorted((tmp_path / "report/tables").glob("*.tex"))
    assert len(tables) > 8
    texts = [path.read_text(encoding="utf-8") for path in tables]
    assert any("longtable" in text for text in texts)
    assert any("café" in text for text in texts)
    body = "".join(rf"\input{{report/tables/{path.stem}}}\clearpage" "\n" for path in tables)
    done = compiled(tmp_path, body)
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-30:])
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Missing character" not in log
    # longtable cannot be made smaller; a class name without a space is not broken
    of_long = {path.stem for path, text in zip(tables, texts, strict=True) if "longtable" in text}
    for name, said in re.findall(r"\(\./report/tables/(\w+)\.tex(.*?)\)", log, re.DOTALL):
        assert name in of_long or "Overfull" not in said, said


@needs_latex
def test_all_that_is_said_to_be_in_the_fonts_is_there(tmp_path: Path) -> None:
    from unseen.reporting.latex_text import _ESCAPED, _OF_T1

    shown = [one for one in sorted(_ESCAPED.keys() | _OF_T1) if one.isprintable()]
    table = Table("all", "All", "", (Column("[one"),), tuple(Row((one,)) for one in shown))
    (tmp_path / "all.tex").write_text(to_latex(table), encoding="utf-8")
    done = compiled(tmp_path, "\\input{all}\n")
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-30:])
    assert len(shown) > 200
