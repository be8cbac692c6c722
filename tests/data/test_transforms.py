"""Canvas and batched transform against the papers' pipeline, one image at a time with torchvision; noise."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv
from torchvision.transforms.v2 import functional as v2

from unseen.data import transforms
from unseen.data.canvases import Frame, to_canvas
from unseen.data.transforms import Noise, NoiseSource, View, max_rotation, raw_pixels, to_images

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(64, 64), (100, 64), (64, 101), (37, 90), (301, 200), (33, 32), (8, 8), (5, 9), (1, 1), (500, 70)]


def drawing(size: tuple[int, int], number: int = 0) -> Image.Image:
    """Strokes on paper with a little noise."""
    rng = np.random.default_rng([number, *size])
    image = Image.new("RGB", size, (250, 245, 240))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        ends = [tuple(rng.uniform(0, 1, 2) * size) for _ in range(2)]
        pen.line(ends, fill=tuple(int(v) for v in rng.integers(0, 200, 3)), width=max(1, min(size) // 10))
    return image


def papers_pipeline(image: Image.Image, size: int, pad: int, angle: float) -> torch.Tensor:
    image = tv.resize(image, [size], interpolation=InterpolationMode.BILINEAR, antialias=True)
    image = tv.pad(image, [pad], fill=255)
    image = tv.rotate(image, angle, interpolation=InterpolationMode.NEAREST, fill=0)
    image = tv.center_crop(image, [size])
    return tv.normalize(tv.to_tensor(image), MEAN, STD)


def ours(image: Image.Image, frame: Frame, angles) -> torch.Tensor:
    canvas = torch.tensor(to_canvas(image, frame)).unsqueeze(0)
    turns = None if angles is None else torch.tensor(angles)
    return to_images(
        canvas.expand(len(angles or [0]), -1, -1, -1), turns, size=frame.size, mean=MEAN, std=STD
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("side", [64, 33])
def test_without_rotation_every_pixel_is_equal(size, side):
    view = View(side, rotation=10)
    image, frame = drawing(size), view.frame
    expected = papers_pipeline(image, side, frame.pad, 0.0)
    assert torch.equal(ours(image, frame, [0.0])[0], expected)  # rotated by nothing
    assert torch.equal(ours(image, frame, None)[0], expected)  # not rotated
    assert torch.equal(ours(image, View(side).frame, None)[0], expected)  # no margin kept


def between_pixels(image: Image.Image, size: int, pad: int, angle: float) -> torch.Tensor:
    """Whether a pixel (S, S) of the result comes from the border of two pixels, where rounding decides."""
    short = min(image.size)
    width, height = (int(size * length / short) + 2 * pad for length in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    y, x = torch.meshgrid(torch.arange(size).double(), torch.arange(size).double(), indexing="ij")
    x, y = x + left + 0.5 - width / 2, y + top + 0.5 - height / 2  # from the picture's centre
    turn = np.radians(angle)
    from_x = np.cos(turn) * x - np.sin(turn) * y + width / 2
    from_y = np.sin(turn) * x + np.cos(turn) * y + height / 2
    return ((from_x - from_x.round()).abs() < 1e-3) | ((from_y - from_y.round()).abs() < 1e-3)


@pytest.mark.parametrize("size", [*SIZES[:6], (66, 64), (67, 64), (64, 67), (65, 65)], ids=str)
@pytest.mark.parametrize("side", [64, 33])
def test_rotated_images_are_those_of_torchvision(size, side):
    """White noise, in which a neighbour's pixel differs; by torch, and by Pillow, which rounds to 1/65536 pixel."""
    frame = View(side, rotation=10).frame
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    angles = [-10.0, -3.3, 0.0, 0.7, 5.0, 10.0]
    found = ours(image, frame, angles)
    resized = tv.pil_to_tensor(
        tv.pad(tv.resize(image, [side], InterpolationMode.BILINEAR, antialias=True), [frame.pad], fill=255)
    )
    for got, angle in zip(found, angles, strict=True):
        turned = v2.center_crop(v2.rotate(resized, angle, fill=0), [side])
        assert torch.equal(got, tv.normalize(turned.float().div(255), MEAN, STD))
        differ = (got != papers_pipeline(image, side, frame.pad, angle)).any(0)
        assert not (differ & ~between_pixels(image, side, frame.pad, angle)).any()
        assert differ.float().mean() < 0.002


def test_at_224_pixels_as_in_the_papers():
    frame = View(224, rotation=10).frame
    assert (frame.pad, frame.side) == (20, 264)
    image = drawing((64, 64))
    difference = (ours(image, frame, [10.0])[0] - papers_pipeline(image, 224, 20, 10.0)).abs()
    assert difference.mean() < 2 / 255
    assert (
        ours(Image.new("RGB", (64, 64), "white"), frame, [10.0, -10.0]).amin() > 2
    )  # white stays white: no corner


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("rotated", [False, True])
def test_each_sample_has_its_own_angle_and_noise(monkeypatch, rotated, noisy):
    monkeypatch.setattr(transforms, "_PIXELS", 5 * 48**2)  # five at once, so there are four parts
    frame = View(48, rotation=10).frame
    images = [drawing((60, 60), number) for number in range(18)]
    stack = torch.from_numpy(np.stack([to_canvas(image, frame) for image in images]))
    angles = torch.linspace(-10, 10, len(images)) if rotated else None
    pixels = torch.randint(
        256, (18, 48, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )

    def some(which):
        return to_images(
            stack[which],
            angles[which] if rotated else None,
            size=48,
            mean=MEAN,
            std=STD,
            noise=Noise(pixels[which], 0.4) if noisy else None,
        )

    together = some(slice(None))
    assert together.shape == (18, 3, 48, 48)
    assert together.dtype == torch.float32
    assert together.is_contiguous()
    for i in range(18):
        assert torch.equal(together[i], some(slice(i, i + 1))[0])
    assert some(slice(0, 0)).shape == (0, 3, 48, 48)


def test_a_quarter_turn_by_hand():
    # counter-clockwise: the right column becomes the top row
    image = np.zeros((3, 2, 2), dtype=np.uint8)
    image[0] = [[10, 20], [30, 40]]
    stack = torch.from_numpy(np.pad(image, ((0, 0), (1, 1), (1, 1)), constant_values=255)).unsqueeze(0)
    turned = to_images(stack, torch.tensor([90.0]), size=2, mean=(0, 0, 0), std=(1 / 255,) * 3)
    assert turned[0, 0].round().tolist() == [[20, 40], [10, 30]]


@pytest.mark.parametrize(("size", "margin", "degrees"), [(224, 20, 11.447), (64, 6, 12.107), (100, 0, 0.0)])
def test_largest_rotation(size, margin, degrees):
    # S/2 (cos a + sin a) = S/2 + p  <=>  sin(a + 45) = (1 + 2p/S) / sqrt(2)
    assert max_rotation(size, margin) == pytest.approx(degrees, abs=1e-3)
    angle = np.radians(max_rotation(size, margin))
    assert size / 2 * (np.cos(angle) + np.sin(angle)) == pytest.approx(size / 2 + margin)


@pytest.mark.parametrize("size", [8, 26, 28, 32, 48, 64, 96, 224, 384])
def test_the_papers_angle_is_allowed_at_every_size_and_shows_no_corner(size):
    view = View(size, rotation=10)
    white = torch.full((1, *view.frame.shape), 255, dtype=torch.uint8)
    for angle in (-10.0, 10.0):
        rotated = tv.rotate(white, angle, fill=0)
        assert tv.center_crop(rotated, [size, size]).min() == 255


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"image_size": 224, "rotation": 12},
            r"rotation=12 must lie between 0 and 11.4 degrees.*pad=0.0893 at image_size=224",
        ),
        ({"image_size": 224, "rotation": -1}, "rotation=-1 must lie between 0"),
        ({"image_size": 224, "rotation": 1, "pad": 0}, "between 0 and 0 degrees"),
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": 8, "pad": -0.1}, "pad=-0.1"),
        ({"image_size": 8, "seed": -1}, "seed=-1"),
    ],
)
def test_impossible_views(settings, words):
    with pytest.raises(ValueError, match=words):
        View(**settings)


def test_a_wide_pad_allows_every_angle():
    assert View(64, rotation=180, pad=0.25).frame.margin == 16


def test_angles_are_pure_uniform_and_within_bounds():
    view = View(32, rotation=10, seed=0)
    draw = view.train_angles(20_000)
    angles = draw(3)
    assert torch.equal(angles, view.train_angles(20_000)(3))
    assert not torch.equal(angles, draw(4))
    assert not torch.equal(angles, View(32, rotation=10, seed=1).train_angles(20_000)(3))
    assert angles.abs().max() <= 10
    # uniform in [-10, 10]: mean 0, standard deviation 20 / sqrt(12) = 5.77
    assert abs(angles.mean()) < 0.2
    assert abs(angles.std() - 5.77) < 0.1


def test_evaluation_angles_stay_and_differ_between_sets():
    view = View(32, rotation=10, eval_deterministic=False)
    draw = view.eval_angles(50, 0)
    assert torch.equal(draw(0), draw(7))
    assert not torch.equal(draw(0), view.eval_angles(50, 1)(0))
    assert not torch.equal(draw(0), view.train_angles(50)(0))
    assert View(32, rotation=10).eval_angles(50, 0) is None
    assert View(32).train_angles(50) is None


def test_raw_pixels_are_small_flat_and_upright():
    frame = View(64, rotation=10).frame
    image = drawing((64, 64))
    stack = torch.from_numpy(np.stack([to_canvas(image, frame)] * 70))
    found = raw_pixels(stack, size=64)
    assert found.shape == (70, 3 * 32 * 32)
    assert found.dtype == torch.float32
    assert 0 <= found.min() < found.max() <= 1
    # half the size with an antialiased filter: Pillow's result up to its rounding to whole numbers
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1).ravel() / 255
    assert np.abs(found[69].numpy() - expected).max() < 1.01 / 255
    small = raw_pixels(stack[:, :, 20:60, 20:60], size=28)
    assert small.shape == (70, 3 * 28 * 28)
    assert torch.equal(small[0].view(3, 28, 28), stack[0, :, 26:54, 26:54] / 255)


class Counting(TorchDispatchMode):
    """Counts the operations of a kind."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.calls = name, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += func.name().startswith(f"aten::{self.name}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("device", "calls"), [("cpu", 15), ("cuda", 1)])
def test_a_gpu_gets_a_batch_in_one_part_and_never_waits(device, calls):
    """15: parts of 5 images of 224 x 224, which stay in the cache of a CPU."""
    with FakeTensorMode(), Counting("gather") as gathers, Counting("_local_scalar_dense") as waits:
        canvases = torch.zeros(72, 3, 264, 264, dtype=torch.uint8, device=device)
        angles = torch.zeros(72, device=device)
        images = transforms.to_images(canvases, angles, size=224, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert images.device.type == device
    assert (gathers.calls, waits.calls) == (calls, 0)


# ---------------------------------------------------------------- noise
PLAIN = {"size": 2, "mean": (0.0,) * 3, "std": (1.0,) * 3}


def test_a_mixture_by_hand() -> None:
    """A black and a white image with noise of 51/255 = 0.2: black gets a quarter of it, white 0.75 + 0.25 x 0.2."""
    canvases = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    noise = Noise(torch.full((2, 2, 2, 3), 51, dtype=torch.uint8), 0.25)
    mixed = to_images(canvases, None, **PLAIN, noise=noise)
    assert mixed[0].unique().tolist() == pytest.approx([0.05])
    assert mixed[1].unique().tolist() == pytest.approx([0.8])
    normalised = to_images(canvases, None, size=2, mean=(0.5,) * 3, std=(0.1,) * 3, noise=noise)
    assert torch.allclose(normalised, (mixed - 0.5) / 0.1)  # mixed before the normalisation


def test_at_level_one_nothing_of_the_image_is_left() -> None:
    noise = NoiseSource(1.0, seed=0, size=2).draw(torch.arange(2))
    first, second = (
        to_images(torch.full((2, 3, 2, 2), value, dtype=torch.uint8), None, **PLAIN, noise=noise)
        for value in (0, 200)
    )
    assert torch.equal(first, second)
    assert torch.equal(first, noise.pixels.permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("seed", [0, 42])
def test_each_image_has_its_own_noise_whatever_the_batch(seed: int) -> None:
    source = NoiseSource(0.5, seed=seed, size=4)
    together, alone = source.draw(torch.tensor([3, 8, 5])), source.draw(torch.tensor([8]))
    assert torch.equal(together.pixels[1], alone.pixels[0])
    assert not torch.equal(together.pixels[0], together.pixels[1])
    assert torch.equal(alone.pixels, NoiseSource(1.0, seed=seed, size=4).draw(torch.tensor([8])).pixels)
    assert not torch.equal(
        alone.pixels, NoiseSource(0.5, seed=seed + 1, size=4).draw(torch.tensor([8])).pixels
    )


def test_noise_is_uniform_and_leaves_the_global_generators_alone() -> None:
    state = torch.get_rng_state()
    pixels = NoiseSource(0.5, seed=0, size=64).draw(torch.arange(16)).pixels.numpy()
    counts = np.bincount(pixels.ravel(), minlength=256)  # 196,608 draws: 768 of each value, sd 28
    assert counts.min() > 768 - 6 * 28
    assert counts.max() < 768 + 6 * 28
    assert torch.equal(torch.get_rng_state(), state)
