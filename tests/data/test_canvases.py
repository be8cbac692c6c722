"""Decoding many images into canvases."""

import logging
import warnings

import pytest
import torch
from PIL import Image

from unseen.data.canvases import Frame, decode_all, to_canvas
from unseen.data.selection import Chosen


def test_a_banner_shows_its_centre_without_being_resized_whole():
    image = Image.new("RGB", (200_000, 2), "white")
    image.paste((0, 0, 0), (99_999, 0, 100_001, 2))  # two black columns in the middle
    canvas = to_canvas(image, Frame(32, 3, 3))
    assert canvas.shape == (3, 38, 38)
    # a source pixel is 16 wide here: the black is 32 wide, blurred by 8 on either side
    assert (canvas[:, 3:35, 12:26] == 0).all()
    assert (canvas[:, 3:35, 0] > 150).all()
    assert (canvas[:, [0, 1, 2, 35, 36, 37]] == 255).all()


def read_or_fail(reference: str) -> Image.Image:
    if reference.startswith("bad"):
        raise OSError("no such\n file")
    return Image.new("RGB", (9, 9), (int(reference), 0, 0))


def test_decoding_keeps_order_and_reports_every_bad_file(caplog, capsys):
    kinds = [
        Chosen(tuple(str(i) for i in range(150)), tuple(i % 3 for i in range(150))),
        Chosen(("200", "bad1", "201", "bad2"), (0, 1, 2, 3)),
        Chosen((), ()),
    ]
    with caplog.at_level(logging.INFO):
        stores, bad = decode_all(read_or_fail, kinds, Frame(8, 1, 0))
    assert bad == (("bad1", "no such file"), ("bad2", "no such file"))
    assert [len(store) for store in stores] == [150, 2, 0]
    assert stores[0].canvases.shape == (150, 3, 8, 8)
    assert stores[0].canvases.dtype == torch.uint8
    assert stores[0].canvases[:, 0, 4, 4].tolist() == list(range(150))
    assert stores[0].labels.tolist() == [i % 3 for i in range(150)]
    assert stores[0].labels.dtype == torch.int64
    assert stores[1].canvases[:, 0, 4, 4].tolist() == [200, 201]
    assert (stores[1].labels.tolist(), tuple(stores[1].references)) == ([0, 2], ("200", "201"))
    assert caplog.messages[-1].startswith("decoded 154 images in ")  # one line where there is no terminal
    assert capsys.readouterr() == ("", "")


def test_remarks_of_pillow_stay_off_the_screen_and_bombs_are_bad(monkeypatch, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)

    def read(reference: str) -> Image.Image:
        warnings.warn_explicit("odd file", UserWarning, "x", 1, module="PIL.TiffImagePlugin")
        return Image.open(reference)

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        _, bad = decode_all(read, [Chosen((str(tmp_path / "a.png"),), (0,))], Frame(8, 1, 0))
    assert "decompression bomb" in bad[0][1]


def test_an_interruption_ends_decoding():
    def read(reference: str) -> Image.Image:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_all(read, [Chosen(tuple("abc"), (0, 0, 0))], Frame(8, 1, 0))
