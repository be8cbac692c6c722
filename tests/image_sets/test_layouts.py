"""Public layouts: stand-ins with the names of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from unseen.image_sets.benchmark import LabelledFolder, available
from unseen.image_sets.class_folders import MissingImagesError
from unseen.image_sets.cue_conflict import CueConflict
from unseen.image_sets.samples import Samples
from unseen.image_sets.sessions import SessionFolder
from unseen.image_sets.tables import kept_classes, wordnet_ids

CONFIGS = Path(__file__).parents[2] / "configs" / "benchmark"
CUE = [
    "airplane/airplane1-bicycle2.png",
    "airplane/airplane10-bear3.webp",
    "airplane/airplane2-airplane4.png",
    "bear/bear3-airplane12.png",
]


@pytest.mark.parametrize("around", ["", "cue-conflict/", "stimuli/cue-conflict/"])
def test_cue_conflict_images_are_named_after_shape_and_texture(folder, zipped, around) -> None:
    root = folder([around + path for path in CUE])
    for place in (root, zipped(root)):
        [images] = CueConflict(str(place)).open("cue_conflict")
        assert images.labels.tolist() == [0, 0, 0, 1]  # airplane is the first of the 16, bear the second
        assert images.textures is not None
        assert images.textures.tolist() == [2, 1, 0, 0]
        assert images.sources is not None
        # pictures by name: airplane1, airplane10, airplane2, bear3; airplane12, airplane4, bear3, bicycle2
        assert images.sources.tolist() == [[0, 3], [1, 2], [2, 1], [3, 0]]
        assert images.only([3, 1]).sources.tolist() == [[3, 0], [1, 2]]  # type: ignore[union-attr]
        assert images.notices == ("4 images, and the public set has 1,280",)
        assert len(images.decision.names) == 16  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bear/photo.png", r"bear/photo\.png is not called bear#-TEXTURE#\.png, such as bear1-bottle2\.png"),
        ("bear/cat1-bear2.png", r"bear/cat1-bear2\.png is not called bear#-TEXTURE#"),
        (
            "bear/bear1-zebra2.png",
            r"texture of .*bear1-zebra2\.png: unknown class zebra.*; allowed are airplane,",
        ),
        ("bearr/bearr1-cat2.png", r"unknown class bearr \(did you mean bear\?\)"),
    ],
)
def test_wrong_names_of_cue_conflict_images(folder, name, says) -> None:
    with pytest.raises(ValueError, match=says):
        CueConflict(str(folder([*CUE, name]))).open("cue_conflict")


def test_edges_and_silhouettes_lie_beside_each_other(folder) -> None:
    root = folder(
        [*(f"cue-conflict/{path}" for path in CUE), "edges/cat/cat1.png", "silhouettes/dog/dog1.png"]
    )
    found, missing = available(
        {
            "cue_conflict": CueConflict(str(root)),
            "edges": LabelledFolder(str(root), folder="edges"),
            "silhouettes": LabelledFolder(str(root), folder="silhouettes", expected=160),
            "sketch": LabelledFolder(str(root), folder="sketch"),
            "nowhere": LabelledFolder(str(root / "nowhere")),
            "unset": LabelledFolder(),
        }
    )
    assert {name: len(images) for name, images in found.items()} == {
        "cue_conflict": 4,
        "edges": 1,
        "silhouettes": 1,
    }
    assert found["silhouettes"].notices == ("1 image, and the public set has 160",)
    assert missing == {
        "sketch": f"{root} has no folder sketch and no class folders, but cue-conflict, edges, silhouettes",
        "nowhere": f"benchmark.nowhere.root={root}/nowhere does not exist (nor does nowhere.zip beside it)",
        "unset": "benchmark.unset.root is not set",
    }


def test_an_archive_beside_a_missing_folder_is_taken(folder, zipped) -> None:
    archive = zipped(folder(["edges/cat/1.png"]))
    found, _ = available({"edges": LabelledFolder(str(archive.with_suffix("")), folder="edges")})
    assert found["edges"].files == ["edges/cat/1.png"]


def test_class_folders_of_imagenet_are_their_wordnet_ids(folder) -> None:
    ids = wordnet_ids()
    root = folder(
        [f"imagenet/val/{ids[c]}/ILSVRC2012_val_{n:08}.JPEG" for n, c in enumerate((999, 0, 404, 0), 1)]
    )
    [images] = LabelledFolder(str(root), folder="val", expected=50_000).open("val")
    assert images.labels.tolist() == [0, 0, 404, 999]
    assert images.notices == ("4 images, and the public set has 50,000",)


@pytest.mark.parametrize("width", [1, 4])
def test_folders_that_are_numbers_are_ordered_as_numbers(folder, width) -> None:
    root = folder([f"imagenetv2-format-val/{number:0{width}}/a.jpeg" for number in (10, 2, 0, 999)])
    [images] = LabelledFolder(str(root)).open("v2")
    assert images.labels.tolist() == [0, 2, 10, 999]
    assert images.read([1])[0, 0, 0, 0].item() == 1  # the second that was written


def test_the_labels_of_imagenet_a_are_among_its_200(folder) -> None:
    kept = kept_classes("imagenet_a")
    paths = [f"imagenet-a/{wordnet_ids()[index]}/1.png" for index in kept]
    [images] = LabelledFolder(str(folder(paths)), keep="imagenet_a").open("a")
    assert images.labels.tolist() == list(range(200))
    with pytest.raises(ValueError, match="2 class folders that imagenet_a has not: n01440764, n01443537"):
        LabelledFolder(
            str(folder([f"{wordnet_ids()[c]}/1.png" for c in (0, 1, kept[0])], name="other")),
            keep="imagenet_a",
        ).open("a")


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["tabby/1.png", "n01440764/1.png"], "stand for no class: tabby; allowed are ImageNet's WordNet ids"),
        (
            ["Katze/1.png", "airplane/1.png", "dog/1.png"],
            "unknown class Katze; allowed are airplane, bear, .* oven, truck$",
        ),
        (["1/1.png", "1000/1.png"], "class folders 1000; allowed are the numbers 0 to 999"),
        (["7/1.png", "007/1.png"], "two class folders of one number"),
        (["1.png"], "no class folders with images"),
        (["cat/notes.txt"], "no class folders with images"),
    ],
)
def test_folders_that_are_no_classes(folder, paths, says) -> None:
    with pytest.raises(ValueError, match=says):
        LabelledFolder(str(folder(paths))).open("mine")


def test_empty_folders_are_missing_and_other_files_refused(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/.gitkeep").touch()
    (tmp_path / "file.zip").write_bytes(b"no archive")
    _, missing = available({"mine": LabelledFolder(str(tmp_path / "empty"))})
    assert missing == {"mine": f"benchmark.mine.root={tmp_path}/empty is an empty folder"}
    with pytest.raises(ValueError, match=r"^benchmark\.mine\.root=.* neither a folder nor a zip archive"):
        available({"mine": LabelledFolder(str(tmp_path / "file.zip"))})


def test_errors_name_the_benchmark(folder) -> None:
    with pytest.raises(ValueError, match=r"^benchmark\.mine: .* stand for no class: tabby"):
        available({"mine": LabelledFolder(str(folder(["tabby/1.png"])))})


def test_a_map_gives_other_folders_a_class(folder, tmp_path) -> None:
    (tmp_path / "map.json").write_text('{"Ming": [0, 2], "Qing": [1]}')
    root = folder(["Ming/1.png", "Qing/1.png", "Qing/2.png"])
    [images] = LabelledFolder(str(root), class_map=str(tmp_path / "map.json")).open("mine")
    np.testing.assert_array_equal(images.labels, [0, 1, 1])
    images.decision.check(3)


def test_images_of_sessions_have_their_class_in_the_name(folder, zipped) -> None:
    paths = [
        "stylized/session-1/0002_sty_dnn_0_cat_10_n02123045_5.png",
        "stylized/session-1/0001_sty_dnn_0_knife_10_n03041632_5.png",
        "stylized/session-2/0001_sty_dnn_0_bear_10_n02132136_5.png",
    ]
    root = folder(paths)
    (root / "stylized/session-1/notes.txt").write_text("no image")
    for place in (root, zipped(root)):
        [images] = SessionFolder(str(place)).open("stylized")
        assert images.labels.tolist() == [1, 7, 13]
        assert images.notices == ("1 file or folder left out: 1 .txt (in session-1)",)
    [sorted_copy] = SessionFolder(str(folder(["stylized/cat/1.png"], name="copy"))).open("stylized")
    assert sorted_copy.labels.tolist() == [7]
    with pytest.raises(
        ValueError, match=r"fifth word of session-1/a_b_c_d_zebra_e\.png: unknown class zebra"
    ):
        SessionFolder(str(folder(["session-1/a_b_c_d_zebra_e.png"], name="zebra"))).open("stylized")
    with pytest.raises(ValueError, match=r"session-1/photo\.png is not called A_B_C_CONDITION_CLASS_NAME"):
        SessionFolder(str(folder(["session-1/photo.png"], name="photo"))).open("stylized")


def test_the_samples_are_what_they_are_called() -> None:
    pytest.importorskip("skimage")
    [images] = Samples().open("samples")
    assert [name.rsplit("/", 1)[1] for name in images.files] == ["chelsea.png", "coffee.png", "china.jpg"]
    assert images.accepted.tolist() == [[281, 282, 285], [967, 968, -1], [698, -1, -1]]
    assert images.read(range(3)).shape == (3, 3, 224, 224)


@pytest.mark.parametrize("option", ["imagenet", "local", "none", "samples", "silhouettes_c"])
def test_the_configured_benchmarks_can_be_made(option, tmp_path) -> None:
    node = OmegaConf.load(CONFIGS / f"{option}.yaml")
    config = OmegaConf.create({"benchmark": node or {}, "paths": {"data_dir": str(tmp_path)}})
    made = instantiate(config, _convert_="all")["benchmark"]
    found, missing = available(made)
    assert set(found) | set(missing) >= set(made) - {"samples_c"}
    assert all("does not exist" in sentence for name, sentence in missing.items() if name != "samples_c")
    groups = [benchmark.group for benchmark in made.values()]
    if option == "imagenet":
        assert [groups.count(group) for group in ("id", "robustness", "concepts")] == [3, 3, 3]
        assert (len(made["imagenet_c"].corruptions), len(made["imagenet_c_bar"].corruptions)) == (19, 10)


def test_one_setting_moves_all_local_sets(folder) -> None:
    root = folder(
        [*(f"cue-conflict/{path}" for path in CUE), "edges/cat/cat1.png", "silhouettes/dog/dog1.png"]
    )
    node = OmegaConf.load(CONFIGS / "local.yaml")
    config = OmegaConf.create({"benchmark": node, "paths": {"data_dir": "nowhere"}})
    config.benchmark.cue_conflict.root = str(root)
    found, _ = available(instantiate(config, _convert_="all")["benchmark"])
    assert list(found) == ["cue_conflict", "edges", "silhouettes"]


def test_a_clone_of_the_public_stimuli_is_read_like_the_folders(folder) -> None:
    inner = "stimuli/style-transfer-preprocessed-512"
    root = folder([f"{inner}/{name}" for name in CUE] + ["code/readme.png", "stimuli/edges/cat/cat1.png"])
    places = ("cue-conflict", inner)
    [images] = CueConflict(str(root), folder=places).open("cue_conflict")
    assert len(images) == len(CUE)
    [edges] = LabelledFolder(str(root), folder=("edges", "stimuli/edges")).open("edges")
    assert len(edges) == 1
    with pytest.raises(MissingImagesError, match="has no folder silhouettes or stimuli/none"):
        LabelledFolder(str(root), folder=("silhouettes", "stimuli/none")).open("silhouettes")


def test_content_is_equal_for_a_copy_elsewhere_and_not_for_other_pixels(folder, zipped, tmp_path) -> None:
    root = folder(CUE)
    [here] = CueConflict(str(root)).open("cue_conflict")
    [there] = CueConflict(str(zipped(root))).open("cue_conflict")
    assert here.content() == there.content()
    assert here.fingerprint() != there.fingerprint()
    assert here.only([0, 1]).content() != here.only([0, 2]).content()
    Image.new("RGB", (224, 224), (3, 5, 7)).save(root / CUE[2])
    [changed] = CueConflict(str(root)).open("cue_conflict")
    assert changed.content() != there.content()
