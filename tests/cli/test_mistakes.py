"""What was typed wrong ends in one sentence and exit code 1, with no stack trace and nothing loaded."""

import pytest

MISTAKES = {
    "unknown model": (
        ["model=vti"],
        "model=vti is not known (did you mean vit?); choose one of convnext, cvt,",
    ),
    "unknown data": (["data=digit"], "data=digit is not known (did you mean digits?)"),
    "unknown group": (["modle=vit"], "modle"),
    "unknown setting": (
        ["data.imagesize=32"],
        "data.imagesize is not a setting (did you mean data.image_size?)",
    ),
    "wrong type": (["seed=abc"], "seed='abc' must be a valid integer"),
    "wrong size": (["size=huge"], "size=huge is not known"),
    "unreadable": (["model.name=a=b,"], "cannot read the setting"),
    "other letters": (
        ["data.unseen=[cat,Bär]"],
        """with special characters, such as 'data.unseen=[cat,"Bär"]'""",
    ),
    "unseen class": (["data=digits", "data.unseen=[7,cat]"], "cat"),
    "too many unseen": (["data=digits", "data.num_unseen=10"], "num_unseen=10"),
    "k too large": (["data=digits", "probe.k=533"], "533"),
    "image size": (["model=vit", "data.image_size=33"], "data.image_size=33"),
    "unknown timm model": (["model=timm", "model.name=convnextv2_ato"], "convnextv2_atto"),
    "no such checkpoint": (["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt is not a file"),
    "no root": (["data=image_folder", "data.root=no/such/folder"], "no/such/folder"),
    "no gpu": (["trainer=gpu"], "torch sees no GPU"),
    "unread key": (["+model.freeze=true"], "model.freeze is not a setting: nothing reads it"),
    "leaf elsewhere": (["lr=0.1"], "did you mean model.optimizer.lr?"),
    "our argument": (["+callbacks.layer_probe.save_embeddings=false"], "use probe.save_embeddings"),
    "list for a name": (["model.name=[a]"], "model.name=['a'] must be a valid string"),
    "empty checkpoint": (["ckpt_path=''"], "ckpt_path='' is not a path"),
    "one image a batch": (
        ["data=digits", "model=resnet", "data.batch_size=1"],
        "data.batch_size=1 is too few",
    ),
    "too many processes": (
        ["data=digits", "trainer=ddp_cpu", "trainer.devices=15", "data.test_size=14"],
        "15 processes cannot share 14 test images",
    ),
    "half a sweep": (["-m", "seed=0,abc"], "seed='abc' must be a valid integer"),
    "sweep typo": (["-m", "model=vit,swim", "seed=0,1"], "model=swim is not known (did you mean swin?)"),
}
CHEAP = {
    "unknown model",
    "unknown data",
    "unknown group",
    "unknown setting",
    "wrong type",
    "wrong size",
    "unreadable",
}
FRESH = CHEAP | {"unseen class"}  # nothing that the libraries say as they load may stand beside the sentence


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in CHEAP else pytest.mark.slow) for name in MISTAKES]
)
def test_one_sentence(name: str, train) -> None:
    arguments, says = MISTAKES[name]
    ran = train(*arguments, fresh=name in FRESH)
    assert ran.code == 1, ran.out + ran.err
    sentences = [line for line in ran.err.splitlines() if line.strip()]
    assert len(sentences) == 1, ran.err
    assert sentences[0].startswith("error: ")
    assert says in sentences[0]
    assert "Traceback" not in ran.out + ran.err
