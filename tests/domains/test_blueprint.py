"""Blueprints: exact lengths, native statistics, and the exactness of conditioning on length."""

import itertools

import numpy as np
import pytest

from proteinweaver.domains.blueprint import (
    FOLDS,
    MIN_ELEMENT,
    _Model,
    draw_blueprint,
    elements,
    fold_class,
    format_blueprint,
    parse_blueprint,
)
from proteinweaver.errors import UserError


def test_every_length_is_met_exactly() -> None:
    for length in [*range(1, 120), 150, 200, 256, 333, 400, 500, 800]:
        text = draw_blueprint(length, length)
        assert len(text) == length
        assert set(text) <= set("HEL")


@pytest.mark.parametrize("fold", FOLDS)
def test_classes_are_kept_and_elements_are_long_enough(fold) -> None:
    for seed in range(40):
        text = draw_blueprint(90, seed, fold=fold)
        assert fold_class(text) == fold
        assert all(run.length >= MIN_ELEMENT[run.kind] for run in elements(text))


@pytest.mark.parametrize(
    ("length", "shares"),  # of natives of 256: .09, .08, .83
    [(50, (0.48, 0.20, 0.32)), (100, (0.20, 0.263, 0.537)), (256, (0.2, 0.2, 0.6))],
)
def test_classes_come_as_in_natives_but_none_is_rare(length, shares) -> None:
    drawn = [fold_class(draw_blueprint(length, seed)) for seed in range(600)]
    for fold, share in zip(FOLDS, shares, strict=True):
        assert drawn.count(fold) / 600 == pytest.approx(share, abs=0.06)


def test_places_choose_classes_in_their_shares() -> None:
    found = [fold_class(draw_blueprint(100, 7, place=k / 200)) for k in range(200)]
    assert found == sorted(found, key=FOLDS.index)  # one class after the other
    for fold, share in zip(FOLDS, (0.20, 0.263, 0.537), strict=True):
        assert found.count(fold) / 200 == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("place", [-0.1, 1.0, float("nan")])
def test_places_that_are_none_are_refused(place) -> None:
    with pytest.raises(UserError, match=r"place is .*; give 0 or more and less than 1"):
        draw_blueprint(60, 0, place=place)


def test_strands_never_lie_alone() -> None:
    texts = [draw_blueprint(30, seed) for seed in range(200)]
    assert not any([run.kind for run in elements(text)] in (["E"], []) for text in texts)


def test_same_key_same_string() -> None:
    again = [draw_blueprint(120, seed) for seed in range(30)]
    assert again == [draw_blueprint(120, np.random.default_rng(seed)) for seed in range(30)]
    assert len(set(again)) == 30


def test_a_draw_does_not_depend_on_earlier_ones() -> None:
    """Models are cached by size; the cache must not leak into results."""
    alone = draw_blueprint(70, 5)
    draw_blueprint(300, 1)
    draw_blueprint(70, 2)
    assert draw_blueprint(70, 5) == alone


def test_tilting_shortens_loops() -> None:
    shares = [
        np.mean([draw_blueprint(120, s, loop_tilt=tilt).count("L") / 120 for s in range(150)])
        for tilt in (0.0, 0.1)
    ]
    assert shares[1] < shares[0] - 0.05


def test_tilting_lengthens_strands_and_leaves_their_number() -> None:
    strands = []
    for tilt in (0.0, 0.25):
        drawn = [draw_blueprint(120, s, fold="beta", strand_tilt=tilt) for s in range(150)]
        runs = [[e for e in elements(text) if e.kind == "E"] for text in drawn]
        strands.append(
            (np.mean([e.length for row in runs for e in row]), np.mean([len(r) for r in runs]))
        )
    (native, few), (long, many) = strands
    assert long > native + 0.7
    assert many == pytest.approx(few, rel=0.15)


def test_backward_weights_are_the_probability_of_the_length() -> None:
    """W(start, n) against a sum over every string of elements and loops, by brute force."""
    model = _Model("beta", 16, 0.0, 0.0)

    def total(state: str, left: int) -> float:
        weight = 0.0
        for kind, share in model.order[state].items():
            pair = f"{state[1]}{kind}"
            if kind == ".":
                weight += share * model.loop[pair][left]
                continue
            for loop, length in itertools.product(range(left + 1), range(left + 1)):
                if MIN_ELEMENT[kind] <= length <= left - loop and pair in model.rest:
                    step = model.loop[pair][loop] * model.element[kind][length]
                    weight += share * step * total(pair, left - loop - length)
        return weight

    for left in (0, 4, 9, 13):
        assert model.rest["--"][left] == pytest.approx(total("--", left), rel=1e-9)


def test_draws_follow_the_weights() -> None:
    """Share of strings of 14 residues with two strands, drawn and summed up."""
    model = _Model("beta", 64, 0.0, 0.0)
    rng = np.random.default_rng(0)
    drawn = [len(elements(model.draw(14, rng))) for _ in range(3000)]
    table = model._steps("-E", "E", 14)
    assert table.sum() == pytest.approx(
        sum(
            model.loop["-E"][g] * model.element["E"][d] * model.rest["-E"][14 - g - d]
            for g in range(15)
            for d in range(15 - g)
        )
    )
    one = model.order["--"]["E"] * sum(
        model.loop["-E"][g]
        * model.element["E"][d]
        * model.order["-E"].get(".", 0)
        * model.loop["E."][14 - g - d]
        for g in range(15)
        for d in range(15 - g)
    )
    one += model.order["--"].get("H", 0) * sum(
        model.loop["-H"][g]
        * model.element["H"][d]
        * model.order["-H"].get(".", 0)
        * model.loop.get("H.", np.zeros(61))[14 - g - d]
        for g in range(15)
        for d in range(15 - g)
    )
    none = model.order["--"].get(".", 0.0)
    expected = one / model.rest["--"][14]
    assert none == 0.0
    assert np.mean(np.array(drawn) == 1) == pytest.approx(expected, abs=0.03)


def test_parse_and_format() -> None:
    assert parse_blueprint("L2 H5,l1 EEE") == "LLHHHHHLEEE"
    for seed in range(10):
        text = draw_blueprint(100, seed)
        assert parse_blueprint(format_blueprint(text)) == text == parse_blueprint(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty text"),
        ("H5 X3", "'X' in"),
        ("5H", "'5' in"),
        ("H5 L0 E3", "empty run L0"),
        ("H999999999", "longer than"),
    ],
)
def test_malformed_blueprints_get_one_line(text, message) -> None:
    with pytest.raises(UserError, match=message):
        parse_blueprint(text)


def test_refuses_impossible_requests() -> None:
    with pytest.raises(UserError, match="0 residues"):
        draw_blueprint(0, 1)
    with pytest.raises(UserError, match="'gamma' is unknown"):
        draw_blueprint(50, 1, fold="gamma")


@pytest.mark.realdata
def test_statistics_of_held_out_natives(data_dir) -> None:
    """Shares of helix, strand and loop, and elements a residue, on the valid split."""
    data = np.load(data_dir / "domains.npz")
    offsets, sse = data["offsets"], data["sse"]
    _, inverse, size = np.unique(data["cluster40"], return_inverse=True, return_counts=True)
    rng = np.random.default_rng(0)
    native, drawn, weights = [], [], []
    for i in np.flatnonzero(data["split"] == 1):
        text = "".join("HEL"[k] for k in sse[offsets[i] : offsets[i + 1]])
        for run in elements(text):
            if run.length < MIN_ELEMENT[run.kind]:
                stop = run.start + run.length
                text = text[: run.start] + "L" * run.length + text[stop:]
        native.append(text)
        drawn.append([draw_blueprint(len(text), rng) for _ in range(4)])
        weights.append(1 / size[inverse[i]])

    def mean(statistic) -> tuple[float, float]:
        ours = [np.mean([statistic(text) for text in texts]) for texts in drawn]
        theirs = [statistic(text) for text in native]
        return np.average(ours, weights=weights), np.average(theirs, weights=weights)

    for letter, bound in (("H", 0.12), ("E", 0.08), ("L", 0.08)):
        ours, theirs = mean(lambda text, letter=letter: text.count(letter) / len(text))
        assert ours == pytest.approx(theirs, abs=bound), letter
    ours, theirs = mean(lambda text: 100 * len(elements(text)) / len(text))
    assert ours == pytest.approx(theirs, rel=0.15)
