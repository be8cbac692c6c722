from collections import Counter

import pytest

from unseen.data.catalog import Catalog, Entry
from unseen.data.selection import SelectionRule, check_neighbors, check_shots, planned_sizes, select, shares
from unseen.data.splits import ClassSplit


def catalog(**classes):
    """catalog(a={"train": 5, "test": 2}) or catalog(a=7) for an undivided class."""
    entries = []
    for name, parts in classes.items():
        for part, number in (parts if isinstance(parts, dict) else {"whole": parts}).items():
            entries += [Entry(f"{part}/{name}/{i:03d}", name, part) for i in range(number)]
    return Catalog.of(entries)


WHOLE = catalog(a=100, b=50, c=10, u=30, v=20)
DIVIDED = catalog(
    a={"train": 60, "test": 20},
    b={"train": 30, "test": 10},
    u={"train": 40, "test": 9},
    v={"train": 7, "test": 9},
)
SPLIT, SPLIT2 = ClassSplit.explicit("abcuv", ["u", "v"]), ClassSplit.explicit("abuv", ["u", "v"])


def test_undivided_classes_are_stratified():
    chosen = select(WHOLE, SPLIT, SelectionRule())
    assert Counter(chosen.test.labels) == {0: 20, 1: 10, 2: 2}  # a fifth of each
    assert Counter(chosen.train.labels) == {0: 80, 1: 40, 2: 8}
    assert Counter(chosen.unseen.labels) == {0: 30, 1: 20}  # all of them
    assert not set(chosen.train.references) & set(chosen.test.references)
    assert all(
        f"/{name}/" in ref for ref, name in zip(chosen.unseen.references, "u" * 30 + "v" * 20, strict=True)
    )
    assert list(chosen.train.references) == sorted(chosen.train.references)


def test_own_test_images_are_used_and_those_of_unseen_classes_are_not():
    chosen = select(DIVIDED, SPLIT2, SelectionRule())
    assert len(chosen.train.references) == 90
    assert len(chosen.test.references) == 30
    assert len(chosen.unseen.references) == 47
    assert all(ref.startswith("train/") for ref in chosen.unseen.references)


def test_an_unseen_class_with_only_test_images_gives_those():
    mixed = catalog(a=10, b=10, u={"test": 5}, v={"train": 4})
    assert Counter(select(mixed, SPLIT2, SelectionRule()).unseen.labels) == {0: 5, 1: 4}


def test_a_class_keeps_its_test_images_when_others_change_sides():
    one = select(WHOLE, SPLIT, SelectionRule(seed=3))
    other = select(WHOLE, ClassSplit.explicit("abcuv", ["b", "v"]), SelectionRule(seed=3))
    of_a = [{ref for ref in chosen.test.references if "/a/" in ref} for chosen in (one, other)]
    assert of_a[0] == of_a[1]
    assert {
        ref for ref in select(WHOLE, SPLIT, SelectionRule(seed=4)).test.references if "/a/" in ref
    } != of_a[0]


def test_sizes_stratified_keep_shares():
    chosen = select(DIVIDED, SPLIT2, SelectionRule(train_size=30, test_size=6, unseen_per_class=10))
    assert Counter(chosen.train.labels) == {0: 20, 1: 10}
    assert Counter(chosen.test.labels) == {0: 4, 1: 2}
    assert Counter(chosen.unseen.labels) == {0: 10, 1: 7}  # at most 10; v has no more than 7
    assert planned_sizes(
        DIVIDED.counts(), SPLIT2, SelectionRule(train_size=30, test_size=6, unseen_per_class=10)
    ) == (
        30,
        6,
        {"u": 10, "v": 7},
    )


def test_sizes_not_stratified_are_drawn_from_all_alike():
    rules = [SelectionRule(train_size=45, stratified=False, seed=seed) for seed in range(30)]
    of_a = [Counter(select(DIVIDED, SPLIT2, rule).train.labels)[0] for rule in rules]
    # hypergeometric: 45 of 90 with 60 of class a: mean 30, standard deviation 2.2
    assert len(set(of_a)) > 3
    assert 28.5 < sum(of_a) / 30 < 31.5
    assert all(len(select(DIVIDED, SPLIT2, rule).train.references) == 45 for rule in rules)


def test_selection_is_a_pure_function():
    rule = SelectionRule(train_size=40, test_size=12, unseen_per_class=5, seed=0)
    first, again = select(WHOLE, SPLIT, rule), select(WHOLE, SPLIT, rule)
    assert first == again
    assert first.train.fingerprint() == again.train.fingerprint()
    assert first.train.fingerprint() != first.test.fingerprint()


def test_shares_by_hand():
    # quotas 3.5, 3.5, 1: one image is left after rounding down, the tie goes to the first
    assert shares([7, 7, 2], 8) == [4, 3, 1]
    assert shares([1000, 1, 1], 5) == [3, 1, 1]  # each class gets one, taken from the largest
    assert shares([3, 3, 3], 9) == [3, 3, 3]
    assert shares([5], 2) == [2]
    for total in range(4, 60):
        given = shares([40, 11, 6, 2], total) if total <= 59 else []
        assert sum(given) == total
        assert all(1 <= got <= have for got, have in zip(given, [40, 11, 6, 2], strict=True))


@pytest.mark.parametrize(
    ("images", "rule", "words"),
    [
        (catalog(a=10, b=2, u=5, v=5), {}, ["seen class 'b' has 2 images", "1 to train on and 1 to test on"]),
        (catalog(a=10, b=1, u=5, v=5), {}, ["seen class 'b' has 1 image,"]),
        (catalog(a=10, b={"train": 5}, u=5, v=5), {}, ["'b' has 5 images", "5 to train on and 0 to test on"]),
        (catalog(a={"train": 9}, b={"train": 5}, u=5, v=5), {}, ["no test images of the seen classes"]),
        (catalog(a=10, b=10, u=1, v=5), {}, ["unseen class 'u' has 1 image, at least 2"]),
        (
            catalog(a=10, b=10, u=3, v=5),
            {"train_size": 17},
            ["train_size=17", "16 training images of the 2 seen"],
        ),
        (catalog(a=10, b=10, u=3, v=5), {"test_size": 9}, ["test_size=9", "choose at most 4, or null"]),
        (
            catalog(a=10, b=10, u=3, v=5),
            {"train_size": 1},
            ["train_size=1", "one image for each", "stratified=false"],
        ),
    ],
)
def test_impossible_selections(images, rule, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        planned_sizes(images.counts(), SPLIT2, SelectionRule(**rule))
    for word in words:
        assert word in str(error.value)
    with pytest.raises(ValueError):  # noqa: PT011
        select(images, SPLIT2, SelectionRule(**rule))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"train_size": 0}, "train_size=0 must be at least 1"),
        ({"unseen_per_class": 1}, "unseen_per_class=1 must be at least 2"),
        ({"seed": -1}, "split_seed=-1 must be at least 0"),
        ({"test_fraction": 1.0}, "test_fraction=1.0 must lie between"),
        ({"test_fraction": 0.0}, "test_fraction=0.0 must lie between"),
    ],
)
def test_impossible_rules(rule, words):
    with pytest.raises(ValueError, match=words):
        SelectionRule(**rule)


def test_a_split_seed_that_draws_nothing_is_refused():
    divided = catalog(**{name: {"train": 6, "test": 6} for name in "abuv"})

    def sizes(**rule):
        return planned_sizes(divided.counts(), SPLIT2, SelectionRule(**{"draws_classes": False} | rule))

    with pytest.raises(ValueError, match=r"split_seed=3 changes nothing: .* add data.num_unseen=2 to draw"):
        sizes(seed=3)
    with pytest.raises(ValueError, match="split_seed=3 changes nothing"):
        sizes(seed=3, train_size=12, test_size=12, unseen_per_class=6)  # all there are
    assert sizes(seed=0) == sizes(seed=3, draws_classes=True) == (12, 12, {"u": 6, "v": 6})
    for drawn in ({"train_size": 11}, {"test_size": 11}, {"unseen_per_class": 5}):
        sizes(seed=3, **drawn)
    whole = catalog(a=10, b=10, u=3, v=5)  # test_fraction draws the test images of a and b
    planned_sizes(whole.counts(), SPLIT2, SelectionRule(seed=3, draws_classes=False))


def test_more_neighbours_than_images():
    check_neighbors(None, {"u": 2})
    check_neighbors(49, {"u": 30, "v": 20})
    with pytest.raises(ValueError, match=r"k=50 .* 50 unseen images \(u 30, v 20\); choose at most 49"):
        check_neighbors(50, {"u": 30, "v": 20})


def test_more_labelled_images_than_a_class_has():
    check_shots(0, {"u": 2})
    check_shots(19, {"u": 30, "v": 20})
    with pytest.raises(ValueError, match=r"20 labelled images .* unseen class v, which has 20; choose less"):
        check_shots(20, {"u": 30, "v": 20})


# ------------------------------------------------------------------ unequal classes
FOUR = catalog(**{name: {"train": 80, "test": 20} for name in "abcd"}, u=9, v=9)
OF_FOUR = ClassSplit.explicit("abcduv", ["u", "v"])


def sizes_of(rule: SelectionRule, images: Catalog = FOUR, split: ClassSplit = OF_FOUR) -> list[int]:
    chosen = select(images, split, rule)
    assert planned_sizes(images.counts(), split, rule)[0] == len(chosen.train.references)
    return [Counter(chosen.train.labels)[label] for label in range(len(split.seen))]


def test_imbalance_by_hand():
    # r = 8, four classes: 1, 1/2, 1/4, 1/8 of the largest; in 15 eighths, of 120 images 64, 32, 16, 8
    assert sorted(sizes_of(SelectionRule(imbalance=8, train_size=120))) == [8, 16, 32, 64]
    # without a size the largest class keeps its 80 images
    assert sorted(sizes_of(SelectionRule(imbalance=8))) == [10, 20, 40, 80]
    # quotas 53 1/3, 26 2/3, 13 1/3, 6 2/3: the two largest remainders are rounded up
    assert sorted(sizes_of(SelectionRule(imbalance=8, train_size=100))) == [7, 13, 27, 53]
    assert sizes_of(SelectionRule(imbalance=1, train_size=120)) == [30] * 4
    two = catalog(a={"train": 9, "test": 1}, b={"train": 9, "test": 1}, u=9, v=9)
    assert sorted(sizes_of(SelectionRule(imbalance=3), two, SPLIT2)) == [3, 9]


def test_imbalance_is_that_of_long_tailed_cifar():
    """Cao et al., arXiv 1906.07413: int(max * (1 / r) ** (i / (C - 1))) images of class i; ours are rounded."""
    names = [f"c{i}" for i in range(12)]
    images = catalog(**{name: {"train": 500, "test": 3} for name in names})
    split = ClassSplit.explicit(names, names[:2])
    for ratio in (10, 50, 100):
        theirs = [500 * (1 / ratio) ** (i / 9) for i in range(10)]
        ours = sorted(sizes_of(SelectionRule(imbalance=ratio), images, split), reverse=True)
        assert all(abs(mine - their) < 1 for mine, their in zip(ours, theirs, strict=True))


def test_the_seed_draws_which_class_is_large_and_a_ratio_takes_more_of_the_same_images():
    largest = Counter(
        max(range(4), key=sizes_of(SelectionRule(seed=seed, imbalance=8)).__getitem__) for seed in range(200)
    )
    assert min(largest.values()) > 25  # 50 expected of each, with a standard deviation of 6
    for seed in range(3):
        of_ratio = {
            ratio: select(FOUR, OF_FOUR, SelectionRule(seed=seed, imbalance=ratio, train_size=100))
            for ratio in (1, 2, 8)
        }
        for one, other in ((1, 2), (2, 8)):
            for label in range(4):
                first, second = (
                    {name for name, of in zip(*of_ratio[ratio].train, strict=True) if of == label}
                    for ratio in (one, other)
                )
                assert first <= second or second <= first
        order = {
            ratio: sorted(range(4), key=Counter(of_ratio[ratio].train.labels).__getitem__) for ratio in (2, 8)
        }
        assert order[2] == order[8]
        assert len({of_ratio[ratio].test for ratio in of_ratio}) == 1
        assert len({of_ratio[ratio].unseen for ratio in of_ratio}) == 1


def test_an_imbalance_that_the_images_do_not_allow_is_refused():
    with pytest.raises(
        ValueError, match=r"train_size=160 is impossible with imbalance=8: .* allow 15 .* to 150"
    ):
        sizes_of(SelectionRule(imbalance=8, train_size=160))
    with pytest.raises(ValueError, match=r"train_size=14 is impossible with imbalance=8"):
        sizes_of(SelectionRule(imbalance=8, train_size=14))
    with pytest.raises(ValueError, match=r"imbalance=100 is impossible: the 4 seen classes allow"):
        sizes_of(SelectionRule(imbalance=100))
    with pytest.raises(ValueError, match=r"imbalance=0\.5 must be at least 1"):
        SelectionRule(imbalance=0.5)
    # the smallest class has one image at the bounds
    assert sorted(sizes_of(SelectionRule(imbalance=8, train_size=15))) == [1, 2, 4, 8]
    assert sorted(sizes_of(SelectionRule(imbalance=8, train_size=150))) == [10, 20, 40, 80]
    # it draws, so that a split seed changes something
    planned_sizes(FOUR.counts(), OF_FOUR, SelectionRule(seed=3, imbalance=2, draws_classes=False))
