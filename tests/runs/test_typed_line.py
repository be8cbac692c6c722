"""The typed line: flags anywhere, groups by name, one sentence for what Hydra answers with a stack trace; quoting."""

import random
import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from unseen.runs.cli import _as_typed
from unseen.runs.errors import UsageError, UserError
from unseen.runs.typed_line import groups_of, key_of, override, prepare

CONFIGS = Path(__file__).parents[2] / "configs"
MODELS = (
    "convnext,cvt,efficientnet_lite0,efficientnet_lite1,efficientnet_lite2,module,poolformer,pvt,resnet,swin,timm,"
    "torchvision,vit"
)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("model=vit seed=0", "model=vit seed=0"),
        ("model=resnet -m seed=0,1", "--multirun model=resnet seed=0,1"),
        ("seed=1 --cfg job --resolve model=vit", "--cfg job --resolve seed=1 model=vit"),
        ("--cfg=all a=1", "--cfg all a=1"),
        ("--multi seed=0,1", "--multirun seed=0,1"),
        ("--info seed=1", "--info all seed=1"),
        ("--info defaults seed=1", "--info defaults seed=1"),
        ("-h model=vit", "--help model=vit"),
        ("logger=null", "logger=none"),
        ("~logger", "logger=none"),
        ("logger=[]", "logger=none"),
        ("logger=false seed=1", "logger=none seed=1"),
        ("experiment=null ~debug", ""),
        ("-m model=glob(*)", f"--multirun model={MODELS}"),
        ("-m model=glob([c*,sw*])", "--multirun model=convnext,cvt,swin"),
        ("-m seed=range(0,3)", "--multirun seed=range(0,3)"),
        ("-m a.b=tag(log,interval(1e-5,1e-2))", "--multirun a.b=tag(log,interval(1e-5,1e-2))"),
        ("augment=none", "augment=none"),  # a file's name
        ("data=a=b,", "data=a=b,"),  # Hydra says that it cannot read it
        ("hydra.run.dir=x +data.foo=1", "hydra.run.dir=x +data.foo=1"),
        ("study=g4 seed=1", "study=g4 seed=1"),  # a job of it
        ("--cfg job study=g4 hydra.sweep.dir=x", "--cfg job study=g4 hydra.sweep.dir=x"),  # shown, not run
    ],
)
def test_it_is_put_in_order(typed: str, read: str) -> None:
    assert prepare(typed.split(), CONFIGS, "train") == read.split()


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("model=composed tuning=lora", "encoder=composed technique=lora"),
        ("model=my/a.npz seed=1", "encoder=embeddings_file encoder.path=my/a.npz seed=1"),
        ("model=a_image_embeddings.csv", "encoder=embeddings_file encoder.path=a_image_embeddings.csv"),
        ("-m model=a.npz,'b.npz'", "--multirun encoder=embeddings_file encoder.path=a.npz,'b.npz'"),
    ],
)
def test_transfer_calls_encoders_models(typed: str, read: str) -> None:
    assert prepare(typed.split(), CONFIGS, "transfer") == read.split()


@pytest.mark.parametrize(
    ("entry", "typed", "says"),
    [
        ("transfer", "model=clip_vit_b33", "model=clip_vit_b33 is not known (did you mean clip_vit_b32?); choose"),
        ("transfer", "encoder=composd", "encoder=composd is not known (did you mean composed?)"),
        ("transfer", "-m tuning=full,lroa", "tuning=lroa is not known (did you mean lora?); choose one of adapter,"),
        ("transfer", "experiment=dmeo", "experiment=dmeo is not known (did you mean demo?); choose one of demo"),
        ("transfer", "model=null", "model=null: model cannot be left out; choose one of clip_vit_b32"),
        ("transfer", "study=onw", "study=onw is not known (did you mean own?)"),
        ("biases", "measures=[colour]", "measures=colour is not known (did you mean color?)"),
        ("biases", "benchmark=loacl", "benchmark=loacl is not known (did you mean local?)"),
        ("eval", "data=digit", "data=digit is not known (did you mean digits?)"),
        ("train", "-m model=vit,swim", "model=swim is not known (did you mean swin?)"),
        ("train", "-m callbacks=[default],[default,el2]", "callbacks=el2 is not known (did you mean el2n?)"),
    ],
)  # fmt: skip
def test_a_typing_error_is_named_as_it_was_typed(entry: str, typed: str, says: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(says)}"):
        prepare(typed.split(), CONFIGS, entry)


def test_files_in_a_place_of_ones_own_are_left_to_hydra() -> None:
    typed = ["model=mine", "hydra.searchpath=[file:///x]"]
    assert prepare(typed, CONFIGS, "train") == typed
    assert groups_of("train", CONFIGS).keys().isdisjoint({"encoder", "technique", "measures"})


@pytest.mark.parametrize(
    ("entry", "typed", "read"),
    [
        ("train", "-m study=g5 debug=tiny", "--multirun study=g5 debug=tiny"),
        ("biases", "-m study=b1 debug=tiny", "--multirun study/biases=b1 debug/biases=tiny"),
        ("transfer", "-m study=i3 debug=tiny", "--multirun study/transfer=i3 debug/transfer=tiny"),
        ("biases", "debug=null seed=1", "seed=1"),
        ("report", "debug=tiny runs=logs", "debug/report=tiny runs=logs"),
    ],
)
def test_a_command_has_files_of_its_own_in_a_group(entry: str, typed: str, read: str) -> None:
    assert prepare(typed.split(), CONFIGS, entry) == read.split()


def test_a_command_without_sweeps_is_not_told_to_make_one() -> None:
    with pytest.raises(
        UserError,
        match=r"^runs=a,b holds several values: a list is .* brackets, 'runs=\[a,b\]', and a text with a comma quoted$",
    ):
        prepare(["runs=a,b"], CONFIGS, "report")


def test_a_file_of_another_command_is_refused() -> None:
    with pytest.raises(UserError, match="debug=limit is not known; choose one of tiny"):
        prepare(["debug=limit"], CONFIGS, "transfer")


def test_a_sweep_over_files_and_encoders_is_refused() -> None:
    with pytest.raises(UserError, match="a sweep has encoders or files of embeddings, not both"):
        prepare(["-m", "model=a.npz,composed"], CONFIGS, "transfer")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("--foo", "--foo is not a flag"),
        ("--seed=3", "settings are written without dashes: seed=value"),
        ("-x", "-x is not a flag"),
        ("--resolve", "--resolve goes with --cfg"),
        ("-c", "--cfg needs a value; choose one of job, hydra, all"),
        ("-c tree", "--cfg tree is not known; choose one of job, hydra, all"),
        ("-c job -m", "--multirun and --cfg exclude each other"),
        ("--experimental-rerun x", "--experimental-rerun is not supported"),
        ("--package model", "--package goes with --cfg"),
        ("--help=1", "--help takes no value"),
    ],
)
def test_flags_that_do_not_go(typed: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        prepare(typed.split(), CONFIGS, "train")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("model=null", "model=null: model cannot be left out; choose one of convnext, cvt,"),
        ("~probe", "~probe: probe cannot be left out; choose one of default"),
        ("callbacks=[]", "callbacks.best_checkpoint=null"),
        ("model=1", "model=1: model takes the name of one of its files"),
        ("model=../model/vit", "model takes the name of one of its files"),
        ("model=vit.yaml", "model takes the name of one of its files"),
        ("model={a:1}", "model takes the name of one of its files"),
        ("+model=vit", "+model=vit: there is a model already; write model=vit"),
        ("=1", "cannot read the setting '=1'"),
        ("hydra.run.dir=", "a run needs a folder"),
        ("-m hydra.sweep.dir=''", "a run needs a folder"),
        ("-m hydra.run.dir=x seed=0,1", "the folder of a sweep is hydra.sweep.dir"),
        ("hydra.sweep.dir=x", "read by sweeps only: add -m, or type hydra.run.dir for a single run"),
        ("hydra/launcher=joblib", "hydra/launcher=joblib is read by sweeps only: add -m, or leave it out"),
        ("hydra.sweeper.n_trials=3", "hydra.sweeper.n_trials=3 is read by sweeps only"),
        ("study=g4", "study=g4 is a sweep: add -m, as in python src/train.py -m study=g4"),
        (
            "seed=0,1",
            "seed=0,1 is a sweep over several values: add -m; a list is written with brackets, 'seed=[0,1]',",
        ),
        ("-m seed=range(2,0)", "seed=range(2,0) holds nothing to sweep over"),
        ("-m seed=glob(*)", "seed is no group"),
        ("-m model=glob(zzz*)", "model=glob(zzz*) matches none of convnext"),
        ("-m model=vit,null", "a sweep over model takes names of its files"),
    ],
)
def test_values_that_do_not_go(typed: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        prepare(typed.split(), CONFIGS, "train")
    assert says in str(caught.value)


def test_the_report_has_neither_these_groups_nor_sweeps() -> None:
    assert prepare(["logger=null"], CONFIGS, "report") == [
        "logger=null"
    ]  # no group of its own: Hydra refuses it
    with pytest.raises(UsageError, match="leave -m out"):
        prepare(["-m", "out=a,b"], CONFIGS, "report")


PIECES = [
    *"ab1'\"\\${}x,=[]() :%#~+é日\t;&*?!@^|<>`\n",
    "${x}",
    "\\${x}",
    "${oc.env:HOME}",
    "null",
    "true",
    "1e3",
]


def read_back(typed: str) -> str:
    value = OverridesParser.create().parse_override(typed).value()
    return str(OmegaConf.create({"ckpt_path": value, "x": "looked up"}).ckpt_path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/home/o'brien/last.ckpt",
        'a "b"',
        "a\\",
        "a\\'",
        "dol${x}lar",
        "\\${x}",
        "a=1,b=[2]{c}",
        "é 日\n",
        "null",
        "3",
    ],
)
def test_a_path_is_read_back_as_it_was(path: str) -> None:
    assert read_back(override("ckpt_path", path)) == path


def test_no_text_of_many_is_changed() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choices(PIECES, k=draw.randint(0, 8)))
        assert read_back(override("ckpt_path", text)) == text


def test_the_setting_that_an_override_is_about() -> None:
    assert [key_of(typed) for typed in ("a.b=1", "+a=1", "++a=x,y", "~a", "hydra/launcher=joblib")] == [
        "a.b", "a", "a", "a", "hydra/launcher",
    ]  # fmt: skip


def test_help_lists_what_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with _as_typed():
        print(
            "data: _defaults, calligraphy, cifar100\nmodel: _any, _defaults, vit\nstudy/x: _base\nloss: focal"
        )
    assert capsys.readouterr().out == "data: calligraphy, cifar100\nmodel: vit\nstudy/x: \nloss: focal\n"
