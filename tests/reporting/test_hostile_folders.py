"""One odd folder never spoils the page: it is left out with its reason, and the good ones are reported."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.synthetic import Made, make_run

from unseen.regular_files import open_regular, read_text
from unseen.reporting.build import build_report
from unseen.reporting.collect import collect

Mutation = Callable[[Path, random.Random], None]
FILES = ("summary.json", "scores.csv", "config.yaml", "split.json", "embeddings.npz")
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**23, 1e308, float("nan"), float("inf"), "", "x", "x" * 400, "x" * 4000, "/../../x",
    "\ud800", "\udce9t\udce9", "\x1b[31m", "a\0b", "=1+1", "<script>", "\u202e", [], [1, [2]], {}, {"a": {"b": None}},
)  # fmt: skip
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40))


def _facts(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "summary.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def _odd_fact(folder: Path, rng: random.Random) -> None:
    key = rng.choice([*json.loads((folder / "summary.json").read_text()), "checkpoint", "versions"])
    value = rng.choice(ODD_VALUES)
    _facts(folder, lambda facts: facts.update({key: value}))


def _no_fact(folder: Path, rng: random.Random) -> None:
    _facts(folder, lambda facts: facts.pop(rng.choice(list(facts))))


def _odd_cell(folder: Path, rng: random.Random) -> None:
    path = folder / "scores.csv"
    lines = path.read_text().splitlines()
    number = rng.randrange(len(lines))
    cells = lines[number].split(",")
    odd = (
        "",
        "x",
        "-3",
        "1" + "0" * 23,
        "nan",
        "inf",
        "1e999",
        "y" * 200_000,
        "\x1b[31m",
        '"',
        "=1+1",
        "0.123",
    )
    cells[rng.randrange(len(cells))] = rng.choice(odd)
    lines[number] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")


def _odd_rows(folder: Path, rng: random.Random) -> None:
    path = folder / "scores.csv"
    lines = path.read_text().splitlines()
    number = rng.randrange(1, len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines.append(lines[number])
    elif kind == 1:
        del lines[number]
    elif kind == 2:
        lines = [line.rpartition(",")[0] for line in lines]
    else:
        rng.shuffle(lines)
    path.write_text("\n".join(lines) + "\n")


def _odd_bytes(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice(FILES)
    content = bytearray(path.read_bytes())
    kind = rng.randrange(7)
    if kind == 0:
        content = content[: rng.randrange(len(content))]
    elif kind == 1:
        for _ in range(20):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 2:
        content = bytearray(b"\xef\xbb\xbf") + content
    elif kind == 3:
        content = content.replace(b"\n", b"\r\n")
    elif kind == 4:
        content = bytearray(rng.randbytes(1000))
    elif kind == 5:
        content = bytearray(b"[" * 300_000)
    else:
        content = bytearray(content.decode("latin-1").encode("utf-16"))
    path.write_bytes(bytes(content))


def _odd_kind(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice(FILES)
    path.unlink()
    kind = rng.randrange(6)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to("/dev/zero")
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.symlink_to(path.name)
    elif kind == 4:
        here = Path.cwd()
        os.chdir(folder)  # the name of a socket must be short
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        finally:
            os.chdir(here)
    else:
        path.touch()
        os.truncate(path, 2**40)


def _odd_config(folder: Path, rng: random.Random) -> None:
    path = folder / "config.yaml"
    odd = (
        BOMB, "a: " + "[" * 400_000, "- " * 100_000 + "x", "paths: 3", "paths: [1]", "ckpt_path: {a: 1}", "x: .nan",
        "? [1, 2]\n: 3", "x: !!python/object/apply:os.system [true]", "x: 0x" + "f" * 5000, "x: !!binary aGk=", "3",
        "data: 1\nprobe: [2]\nmodel: null", '"\\0": "\\e[31m"', "x: " + "y" * 10**6, "k: " + "z" * 90_000,
    )  # fmt: skip
    path.write_text(rng.choice(odd))


def _odd_embeddings(folder: Path, rng: random.Random) -> None:
    path, kind = folder / "embeddings.npz", rng.randrange(7)
    labels = np.arange(30) % 3
    if kind == 0:  # a header that declares eight terabytes
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
        )
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("unseen_labels", "unseen_0"):
                archive.writestr(f"{name}.npy", header.getvalue())
        return
    if kind == 1:
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(90_000):
                archive.writestr(f"{number:0100d}", b"")
        return
    points: Any = np.ones((30, 4))
    if kind == 2:
        points = np.full((30, 4), np.nan)
    elif kind == 3:
        points = np.array([{"x": 1}] * 30, dtype=object)
    elif kind == 4:
        labels = np.full(30, 2**62)
    elif kind == 5:
        points = np.ones((10, 4))
    else:
        labels = np.array([], dtype=int)
    np.savez(path, unseen_labels=labels, unseen_0=points, unseen_2=points)


MUTATIONS: tuple[Mutation, ...] = (
    _odd_fact, _odd_fact, _odd_fact, _no_fact, _odd_cell, _odd_cell, _odd_rows, _odd_bytes, _odd_kind, _odd_config,
    _odd_embeddings,
)  # fmt: skip


def make_odd_folders(root: Path, number: int, seed: int) -> None:
    """Write a good folder and `number` others, each spoilt in a way of its own; their networks are the good one's."""
    made = make_run(root / "pattern", Made(model="cvt", data="digits", controls=True, embeddings=True))
    (made / "split.json").write_text('{"unseen": ["a", "b", "c"]}')
    for place in range(number):
        rng = random.Random(f"{seed} {place}")
        folder = root / f"odd-{place:03d}"
        shutil.copytree(made, folder)
        # its own hash, so that it is no duplicate of another, and no seed of the good one's configuration
        _facts(folder, lambda facts, place=place: facts.update(config_hash=f"{place}", seed=100 + place))  # type: ignore[misc]
        mutation = MUTATIONS[place % len(MUTATIONS)]
        mutation(folder, rng)
    made.rename(root / "good")


def test_odd_folders_do_not_spoil_the_page(tmp_path: Path) -> None:
    """33 folders, the same at each call; `python test_hostile_folders.py 1000 7` tries others."""
    make_odd_folders(tmp_path / "runs", 33, seed=0)
    check(tmp_path)


def check(where: Path) -> None:
    began = time.monotonic()
    built = build_report([where / "runs"], where / "out")
    seconds = time.monotonic() - began
    print(f"{built.runs} reported, {built.left_out} left out, {seconds:.1f} s")
    text = built.page.read_text(encoding="utf-8")
    names = {path.name for path in (where / "runs").iterdir()}
    assert "runs/good<" in text
    for name in names:
        assert f"runs/{name}<" in text, f"{name} is not on the page"
    assert built.runs + built.left_out == len(names)
    for path in (where / "out").rglob("*"):
        assert len(path.name.encode()) < 120
    assert seconds < 60


def reasons(root: Path) -> dict[str, tuple[str, str]]:
    return {Path(one.name).name: (one.status, one.reason) for one in collect([root]).left_out}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"size": "/../../x"}, "size is '/../../x', it must be 'demo' or 'paper'"),
        ({"versions": "x"}, "versions is 'x', it must be a valid dictionary"),
        ({"seen_classes": "x"}, "seen_classes is 'x', it must be a valid integer"),
        ({"seed": True}, "seed is True, it must be a valid integer"),
        ({"model": "\ud800"}, r"model is '\ud800', it must be a name of 1 to 500 printable characters"),
        ({"steps": 10**23}, "must be less than or equal to 1000000000000"),
        ({"seconds": float("inf")}, "seconds is inf, it must be a finite number"),
        ({"written": "zzz"}, "written is 'zzz', it must be a time"),
        ({"g": 0.999}, "by summary.json"),
        ({"checkpoint": "a\0b"}, "it must be a path"),
    ],
)
def test_a_wrong_fact_is_named(tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    folder = make_run(tmp_path / "a", Made(model="cvt"))
    _facts(folder, lambda known: known.update(facts))
    status, reason = reasons(tmp_path)["a"]
    assert status == "unreadable"
    assert message in reason


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"1{'0' * 23},0,unseen,0,blocks.0,0.0,nmi,0.5", "there is no step 1000"),
        ("0,0,unseen,0,blocks.0,0.0,nmi,0.5", "this row is there twice"),
        ("0,0,unseen,0,blocks.0,0.0,other,inf", "other of layer 0 is inf"),
        ("0,0,unseen,0,blocks.0,0.0,nn1x,1e300", "nn1x of layer 0 is 1e+300"),
        ("0,0,odd,0,blocks.0,0.0,nmi,0.5", "split 'odd'"),
        ("0,0,unseen,0,other,0.0,other,0.5", "two names"),
        ("0,0,unseen,0,blocks.0,7.0,other,0.5", "depth 7.0"),
        ("0,0,unseen,-2,head,,nmi_noise_1e999,0.5", "no level of noise"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    folder = make_run(tmp_path / "a", Made(model="cvt"))
    with (folder / "scores.csv").open("a") as file:
        file.write(line + "\n")
    assert message in reasons(tmp_path)["a"][1]


@pytest.mark.parametrize(
    ("text", "message"), [(BOMB, "has an alias"), ("a: " + "[" * 400_000, "more than 40 levels")]
)
def test_a_bomb_is_refused_at_once(tmp_path: Path, text: str, message: str) -> None:
    folder = make_run(tmp_path / "a", Made(model="cvt"))
    (folder / "config.yaml").write_text(text)
    began = time.monotonic()
    assert message in reasons(tmp_path)["a"][1]
    assert time.monotonic() - began < 5


def test_windows_line_ends_and_a_byte_order_mark_harm_nothing(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", Made(model="cvt"))
    for name in ("summary.json", "scores.csv", "config.yaml"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert len(collect([tmp_path]).runs) == 1


def test_only_regular_files_of_bounded_size_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 11)
    (tmp_path / "link").symlink_to("large")
    for path, message in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "large", "has more than"),
    ):
        with pytest.raises(ValueError, match=message):
            open_regular(path, 10)
    assert read_text(tmp_path / "link", 11) == "x" * 11
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none", 10)


def test_class_and_folder_names_that_are_not_utf8_are_shown(tmp_path: Path) -> None:
    folder = make_run(
        tmp_path / "runs" / os.fsdecode(b"caf\xe9"), Made(model="cvt", data="digits", embeddings=True)
    )
    (folder / "split.json").write_text(json.dumps({"unseen": ["a", "b\udce9", "=c"]}))
    built = build_report([tmp_path / "runs"], tmp_path / "out", command=["src/report.py", "runs=caf\udce9"])
    text = built.page.read_text(encoding="utf-8")
    assert built.runs == 1
    assert '"b\\\\udce9"' in text
    assert "caf\\udce9<" in text


if __name__ == "__main__":  # python test_hostile_folders.py HOW_MANY SEED
    with tempfile.TemporaryDirectory() as place:
        make_odd_folders(Path(place) / "runs", int(sys.argv[1]), int(sys.argv[2]))
        check(Path(place))
