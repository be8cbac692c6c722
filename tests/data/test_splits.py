import numpy as np
import pytest
import torch

from unseen.data.splits import ClassSplit, choose_classes

_NAMES = "bdsr csl fwq gj htj hy lgq lqs lx mf mzd oyx sgt shz smh wxz wzm yyr yzq zmf"
ARTISTS = _NAMES.split()


def test_labels_follow_the_order_of_names_not_of_typing():
    split = ClassSplit.explicit(reversed(ARTISTS), ["wzm", "shz", "mf", "hy", "csl"])
    assert split.classes == tuple(ARTISTS)
    assert split.unseen_names == ("csl", "hy", "mf", "shz", "wzm")  # labels 0..4 of the papers
    assert split.seen_names[0] == "bdsr"
    assert split.seen_names[-1] == "zmf"
    assert len(split.seen_names) == 15
    assert split.unseen == (1, 5, 9, 13, 16)


def test_ids_and_names_mix():
    assert ClassSplit.explicit("abcdef", [0, "c", 5]).unseen_names == ("a", "c", "f")


def test_a_whole_number_is_a_name_where_classes_have_numbers_as_names():
    # sorted: 1 2 3 5. The class named 3 has id 2; no class is named 0
    assert ClassSplit.explicit(["5", "1", "2", "3"], [3, 1]).unseen_names == ("1", "3")
    assert ClassSplit.explicit(["5", "1", "2", "3"], ["3", 1]).unseen_names == ("1", "3")


@pytest.mark.parametrize(
    ("names", "unseen", "words"),
    [
        (
            [f"{i:02d}" for i in range(1, 13)],
            [1, 2],
            r"unseen class 1 does not exist \(did you mean '01'\?\);",
        ),
        (
            [f"{i:02d}" for i in range(1, 13)],
            ["1", "2"],
            r"unseen class 1 does not exist \(did you mean '01'\?\);",
        ),
        (
            [str(i) for i in range(1, 13)],
            [0, 5],
            "unseen class 0 does not exist; classes here have numbers as names",
        ),
        # YAML reads 010 and 011 as 8 and 9
        ([f"{i:03d}" for i in range(12)], [8, 9], "did you mean '008'.*zeros in front needs quotes"),
        (["1", "01", "cat", "dog"], ["001", "cat"], "did you mean '01' or '1'"),
        (["1", "cat", "dog", "owl"], [2, 3], "unseen class 2 does not exist; .* are: 1, cat, dog, owl"),
        ([str(i) for i in range(10)], [True, 2], "unseen class True does not exist"),
    ],
)
def test_a_number_that_is_no_name_is_refused_among_numbers(names, unseen, words):
    with pytest.raises(ValueError, match=words):
        ClassSplit.explicit(names, unseen)
    with pytest.raises(ValueError, match=words.replace("unseen class", "seen class")):
        ClassSplit.explicit(names, [names[-1], names[-2]], unseen)


def test_ids_stay_where_names_only_hold_numbers():
    assert ClassSplit.explicit(["0 - zero", "1 - one", "2 - two", "3 - three"], [3, 0]).unseen == (0, 3)


def test_explicit_seen_leaves_the_rest_out():
    split = ClassSplit.explicit("abcdef", ["f", "e"], seen=["b", "a"])
    assert (split.seen_names, split.unseen_names) == (("a", "b"), ("e", "f"))


@pytest.mark.parametrize(
    ("unseen", "seen", "words"),
    [
        (
            ["popy", "rose"],
            None,
            ["'popy' does not exist", "(did you mean poppy?)", "lily, oak, poppy, rose, tulip"],
        ),
        ([7, "rose"], None, ["unseen class 7 does not exist", "ids 0 to 4"]),
        ([-1, "rose"], None, ["unseen class -1 does not exist"]),
        ([True, "rose"], None, ["unseen class True does not exist"]),
        ([1.0, "rose"], None, ["unseen class 1.0 does not exist"]),
        (["rose", 3], None, ["'rose' twice"]),
        (["rose"], None, ["['rose'] has too few classes", "NMI of one class is undefined"]),
        ("rose", None, ["['rose'] has too few classes"]),
        ([], None, ["[] has too few"]),
        ([0, 1, 2, 3], None, ["seen=['tulip'] has too few", "5 classes and 4 of them are unseen"]),
        (["rose", "oak"], ["rose", "lily"], ["both: rose"]),
        (["rose", "oak"], ["tulp", "lily"], ["seen class 'tulp'", "tulip?"]),
    ],
)
def test_impossible_splits_name_the_value_and_what_is_allowed(unseen, seen, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        ClassSplit.explicit(["oak", "rose", "poppy", "tulip", "lily"], unseen, seen)
    for word in words:
        assert word in str(error.value)


def test_a_long_list_of_classes_is_shortened():
    with pytest.raises(ValueError, match=r"c000, .* \.\.\. c199 \(200 in all\)") as error:
        ClassSplit.explicit([f"c{i:03d}" for i in range(200)], ["x1", "x2"])
    assert len(str(error.value)) < 250


def test_draw_is_a_pure_function_of_seed_and_names():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = (torch.get_rng_state(), np.random.get_state()[1].copy())  # noqa: NPY002
    first = ClassSplit.draw(ARTISTS, 5, seed=0)
    np.random.seed(6)  # noqa: NPY002
    assert ClassSplit.draw(reversed(ARTISTS), 5, seed=0) == first
    assert torch.equal(before[0], torch.get_rng_state())
    np.random.seed(5)  # noqa: NPY002
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert len({ClassSplit.draw(ARTISTS, 5, seed=seed).unseen for seed in range(20)}) > 15
    assert set(first.seen) | set(first.unseen) == set(range(20))


def test_every_class_is_drawn_equally_often():
    # 400 draws of 5 in 20: each class 100 times on average, standard deviation sqrt(400 * .25 * .75) = 8.7
    drawn = np.zeros(20)
    for seed in range(400):
        drawn[list(ClassSplit.draw(ARTISTS, 5, seed=seed).unseen)] += 1
    assert drawn.min() > 100 - 4.5 * 8.7
    assert drawn.max() < 100 + 4.5 * 8.7


def test_draw_leaves_explicit_seen_alone():
    for seed in range(10):
        split = ClassSplit.draw("abcdef", 3, seed=seed, seen=["a", "c"])
        assert split.seen_names == ("a", "c")
        assert not set(split.unseen_names) & {"a", "c"}


@pytest.mark.parametrize(
    ("num_unseen", "allowed"), [(0, "2 to 3"), (1, "2 to 3"), (4, "2 to 3"), (5, "2 to 3")]
)
def test_impossible_draws(num_unseen, allowed):
    with pytest.raises(
        ValueError, match=f"num_unseen={num_unseen} is impossible with 5 classes: choose {allowed}"
    ):
        ClassSplit.draw("abcde", num_unseen, seed=0)


def test_draw_from_too_few_classes():
    with pytest.raises(ValueError, match="there are too few classes"):
        ClassSplit.draw("abc", 2, seed=0)


def test_hash_tells_content_apart_and_survives_a_round_trip():
    split = ClassSplit.explicit("abcdef", ["e", "f"], seed=3)
    assert ClassSplit.from_dict(split.to_dict()) == split
    assert split.hash() == ClassSplit.explicit("fedcba", [5, 4], seed=3).hash()
    assert len(split.hash()) == 12
    others = [
        ClassSplit.explicit("abcdef", ["e", "f"], seed=4),
        ClassSplit.explicit("abcdef", ["d", "f"], seed=3),
        ClassSplit.explicit("abcdeg", ["e", "g"], seed=3),
        ClassSplit.explicit("abcdef", ["e", "f"], seen=["a", "b"], seed=3),
    ]
    assert len({split.hash(), *(other.hash() for other in others)}) == 5


def test_the_hash_is_the_same_on_every_machine():
    assert ClassSplit.explicit("abcdef", ["e", "f"]).hash() == "34ccd7d20ec1"


def test_a_stored_split_without_its_parts_is_refused():
    with pytest.raises(ValueError, match="missing: seen, unseen"):
        ClassSplit.from_dict({"classes": ["a"]})


# ---------------------------------------------------------------- what the user said, with a source's defaults
def choose(**said):
    return choose_classes("abcdef", ("e", "f"), ("a", "b", "c"), **said)


def test_defaults_of_the_source():
    assert choose().to_dict() == {"classes": [*"abcdef"], "seen": [*"abc"], "unseen": [*"ef"], "seed": 0}


def test_default_seen_gives_way_to_unseen():
    split = choose(unseen=["a", "d"])
    assert (split.seen_names, split.unseen_names) == (("b", "c"), ("a", "d"))


def test_drawn_classes_leave_default_seen():
    split = choose(num_unseen=2, seed=3)
    assert set(split.seen_names) == {"a", "b", "c"} - set(split.unseen_names)
    assert split.unseen_names == ClassSplit.draw("abcdef", 2, seed=3).unseen_names


def test_two_settings_that_exclude_each_other():
    with pytest.raises(ValueError, match=r"unseen=\['a', 'b'\] and num_unseen=2 exclude each other"):
        choose(unseen=["a", "b"], num_unseen=2)


def test_nothing_says_what_is_unseen():
    with pytest.raises(
        ValueError, match=r"data\.unseen=\[\.\.\.\].*data\.num_unseen.*there are 3 classes: a, b, c"
    ):
        choose_classes("abc", None, None)


def test_some_of_the_seen_classes_are_drawn_and_the_unseen_ones_stay() -> None:
    names = [f"c{i}" for i in range(10)]
    whole = choose_classes(names, None, None, num_unseen=3, seed=5)
    some = choose_classes(names, None, None, num_unseen=3, num_seen=4, seed=5)
    assert some.unseen == whole.unseen
    assert len(some.seen) == 4
    assert set(some.seen) < set(whole.seen)
    assert choose_classes(names, None, None, num_unseen=3, num_seen=7, seed=5).seen == whole.seen
    drawn = {
        choose_classes(names, ["c0", "c1"], ["c2", "c3", "c4"], num_seen=2, seed=seed).seen
        for seed in range(9)
    }
    assert drawn == {(2, 3), (2, 4), (3, 4)}
    for number in (1, 8):
        with pytest.raises(ValueError, match=rf"num_seen={number} must be between 2 and 7"):
            choose_classes(names, None, None, num_unseen=3, num_seen=number)


def test_each_split_seed_holds_other_classes_out() -> None:
    names = [f"c{i}" for i in range(10)]
    assert len({choose_classes(names, None, None, num_unseen=3, seed=seed).unseen for seed in range(3)}) == 3
