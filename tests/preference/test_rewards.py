"""Rewards: bounds, what raises them, and that obvious cheating does not."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.preference import geometric
from proteinweaver.preference.rewards import CATALOGUE, reward_of
from proteinweaver.preference.subjects import Subject
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element

GEOMETRIC = ["interface", "buried-area", "clash", "chain", "drift", "compactness"]
ALL = [*GEOMETRIC, "secondary:helix=0.3,strand=0.3"]


def subject(coord, label, given=None, name="x") -> Subject:
    return Subject(Backbone.from_coord(coord, domain=label, name=name), given)


@pytest.fixture(scope="module", params=["1amm_A", "1jtg_A"])
def native(request, data_dir) -> tuple[np.ndarray, np.ndarray]:
    """A two-domain chain of the valid split, labels with a linker of five residues."""
    store = StructureStore(data_dir / "chains.npz")
    item = store.item(int(np.flatnonzero(store.arrays["ids"] == request.param)[0]))
    label = item.domain.astype(np.int64)
    (cut,) = np.flatnonzero(np.diff(label))
    label[cut - 2 : cut + 3] = 0
    return item.coord.astype(np.float64), label


def moved(coord, label, rotation=None, shift=(0, 0, 0)):
    """The second domain, and all behind the linker, moved as one body."""
    out = coord.copy()
    rows = np.arange(len(label)) >= np.flatnonzero(label == 2)[0]
    centre = out[rows, 1].mean(0)
    turn = rotation or Rotation.identity()
    out[rows] = turn.apply((out[rows] - centre).reshape(-1, 3)).reshape(-1, 4, 3) + centre + shift
    return out


def toward(coord, label, angstrom):
    """Second domain pushed at the first."""
    gap = coord[label == 1, 1].mean(0) - coord[label == 2, 1].mean(0)
    return moved(coord, label, shift=angstrom * gap / np.linalg.norm(gap))


def hacks(coord, label):
    """Structures that should gain nothing, by name."""
    rng = np.random.default_rng(0)
    yield "empty interface", moved(coord, label, shift=(60.0, 0, 0))
    yield "domains laid on each other", toward(coord, label, 18.0)
    yield "domains pushed into each other", toward(coord, label, 6.0)
    yield "shrunk", coord * 0.6
    yield "to a point", coord * 1e-3
    flat = coord.copy()
    flat[:, :, 2] *= 0.2
    yield "flattened", flat
    yield "shaken", coord + 0.4 * rng.standard_normal(coord.shape)
    steps = np.repeat(rng.standard_normal((len(coord) // 10 + 1, 3)), 10, 0)[: len(coord)]
    yield "cut into tens", coord + 2.0 * steps[:, None]
    inward = coord.copy()  # every tenth residue pulled to the middle
    inward[::10] -= 0.7 * (coord[::10, 1] - coord[:, 1].mean(0))[:, None]
    yield "spikes to the middle", inward
    yield "mirrored", coord * [1, 1, -1]


@pytest.fixture(scope="module")
def subjects(native) -> dict[str, Subject]:
    """The native under "" and its hacks; what is measured of them is measured once."""
    coord, label = native
    made = {name: subject(cheat, label, coord) for name, cheat in hacks(coord, label)}
    return {"": subject(coord, label, coord), **made}


@pytest.mark.realdata
@pytest.mark.parametrize("request_", ALL)
def test_cheating_does_not_pay(subjects, request_):
    """No hack scores above the native it was made from; natives score well."""
    reward = reward_of([request_])
    honest = reward(subjects[""]).value
    assert honest > (0.3 if request_ != "interface" else 0.6)
    for name, cheat in subjects.items():
        value = reward(cheat).value
        assert 0.0 <= value <= honest + 1e-9, f"{name}: {value:.3f} against {honest:.3f}"


@pytest.mark.realdata
def test_what_each_hack_costs(native, subjects):
    """The reward that is about a fault falls to nearly nothing with it."""
    coord, label = native

    def value(name: str, cheat: str) -> float:
        return reward_of([name])(subjects[cheat]).value

    for name in ("interface", "buried-area"):
        assert value(name, "empty interface") == 0.0
        for cheat in ("domains laid on each other", "shrunk", "cut into tens"):
            assert value(name, cheat) < 0.05
    assert value("clash", "domains laid on each other") < 0.05
    assert value("drift", "mirrored") == 0.0
    assert value("compactness", "to a point") == 0.0
    for cheat in ("empty interface", "cut into tens", "shaken"):
        assert value("chain", cheat) < 0.35
    # a domain turned in place is kept, its interface changes
    turned = moved(coord, label, Rotation.from_rotvec([0, 1.5, 0]))
    assert subject(turned, label, coord).parts.drift_max < 1e-4


@pytest.mark.realdata
def test_a_sum_of_rewards_cannot_be_cheated_either(subjects):
    reward = reward_of(["2*interface", "clash", "chain", "drift", "compactness"])
    honest = reward(subjects[""])
    others = sum(honest.terms[k] for k in ("clash", "chain", "drift", "compactness"))
    assert honest.value == pytest.approx((2 * honest.terms["interface"] + others) / 6)
    for name, cheat in subjects.items():
        assert not name or reward(cheat).value < honest.value, name


@pytest.mark.realdata
def test_drift_is_a_gaussian_of_the_rmsd(native):
    coord, label = native
    given = coord + 0.5 * np.random.default_rng(1).standard_normal(coord.shape)
    one = subject(coord, label, given)
    assert geometric.drift(one) == pytest.approx(np.exp(-((one.parts.drift_max / 1.5) ** 2)))


@pytest.mark.realdata
def test_novelty_and_the_critic(native, tiny_critic, tmp_path):
    coord, label = native
    known = tmp_path / "known.npz"
    np.savez(known, coord=coord[None].astype(np.float32))
    same = reward_of([f"novelty:reference={known}"])(subject(coord, label))
    assert same.value < 0.02
    for name, cheat in hacks(coord, label):
        if name in {"shrunk", "cut into tens", "to a point"}:
            assert reward_of([f"novelty:reference={known}"])(subject(cheat, label)).value < 0.35
    reward = reward_of([f"soundness:critic={tiny_critic},branches=0/1,caution=2"])
    found = reward(subject(coord, label))
    mean, std = np.mean(found.votes), np.std(found.votes)
    assert len(found.votes) == 2
    assert found.value == pytest.approx(max(0.0, mean - 2 * std))
    broken = subject(dict(hacks(coord, label))["cut into tens"], label)
    assert reward(broken).value < 0.05  # the critic is not asked below the gate
    # single voices in a sum replace the bound
    both = reward_of([f"soundness:critic={tiny_critic},caution=0", "3*interface"])
    score = both(subject(coord, label))
    assert np.mean(score.votes) == pytest.approx(score.value)
    with pytest.raises(UserError, match="branches 0 to 1"):
        reward_of([f"soundness:critic={tiny_critic},branches=5"])(subject(coord, label))


HELIX = ideal_element("H", 30).numpy()


def test_what_cannot_be_told_is_nan_with_a_reason():
    one = subject(HELIX, np.ones(30, int))
    for name in ("interface", "buried-area", "drift"):
        found = reward_of([name, "clash"])(one)
        assert np.isnan(found.value)
        assert name in found.reason
    wreck = HELIX.copy()
    wreck[3, 1, 0] = np.nan
    found = reward_of(["clash"])(subject(wreck, np.ones(30, int)))
    assert np.isnan(found.value)
    assert "not numbers" in found.reason


def test_secondary_structure_wishes():
    one = subject(HELIX, np.ones(30, int))
    share = one.chain.helix
    helix = geometric.secondary_structure(one, share, 0.0)
    assert helix == pytest.approx(1.0 * min(1, one.chain.hb / (0.8 * share)) * one.wholeness)
    assert geometric.secondary_structure(one, 0.0, share) == pytest.approx((1 - share) * helix)
    bare = HELIX.copy()  # a CA trace alone buys nothing: N, C and O are turned about CA
    bare[:, (0, 2, 3)] = 2 * bare[:, 1:2] - bare[:, (0, 2, 3)]
    assert geometric.secondary_structure(subject(bare, np.ones(30, int)), share, 0.0) < 0.05


def test_your_function(tmp_path: Path):
    code = tmp_path / "mine.py"
    code.write_text(
        "def long(b): return min(1.0, len(b) / 60)\n"
        "def wild(b): return 7.0\n"
        "def sad(b): raise RuntimeError('no luck')\n"
    )
    one = subject(HELIX, np.ones(30, int), name="d1")
    assert reward_of([f"python:call={code}:long"])(one).value == 0.5
    assert reward_of(["python:call=math:isfinite"]) is not None
    for name, text in (("wild", "outside 0 to 1"), ("sad", "no luck"), ("none", "no function")):
        with pytest.raises(UserError, match=text):
            reward_of([f"python:call={code}:{name}"])(one)
    with pytest.raises(UserError, match="cannot be loaded"):
        reward_of(["python:call=no_such_module_anywhere:f"])


def test_a_table_of_scores(tmp_path: Path):
    table = tmp_path / "s.csv"
    table.write_text("name,rmsd,tm\nd1,2.0,0.9\nd2,,0.4\n")
    reward = reward_of([f"csv:file={table},column=rmsd,low=10,high=0"])
    d1, d2, d3 = (subject(HELIX, np.ones(30, int), name=n) for n in ("d1", "d2", "d3"))
    assert reward(d1).value == pytest.approx(0.8)  # less is better
    assert np.isnan(reward(d2).value) and np.isnan(reward(d3).value)
    for column, extra, text in (
        ("rmds", "", "did you mean 'rmsd'"),
        ("tm", ",high=0.5", "outside 0 to 0.5"),
        ("rmsd", ",low=1,high=1", "both 1"),
    ):
        with pytest.raises(UserError, match=text):
            reward_of([f"csv:file={table},column={column}{extra}"])
    table.write_text("name,tm\nd1,0.5\nd1,0.6\n")
    with pytest.raises(UserError, match="line 3: d1 stands here twice"):
        reward_of([f"csv:file={table},column=tm"])


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ("interfaces", "did you mean 'interface'"),
        ("-1*clash", "not a positive number"),
        ("x*clash", "not a positive number"),
        ("clash:hard=1", "no option 'hard'"),
        ("secondary:helix=0.5", "needs strand=..."),
        ("secondary:helix=0.9,strand=0.4", "not shares"),
        ("secondary:helix=a,strand=0", "no number"),
        ("python:call=f", "not module:function"),
    ],
)
def test_requests_that_make_no_sense(request_, text):
    with pytest.raises(UserError, match=text.replace("(", r"\(").replace("...", r"\.\.\.")):
        reward_of([request_])
    with pytest.raises(UserError, match="no reward; give"):
        reward_of([])


def test_the_catalogue_tells_what_it_prefers():
    assert all(entry.prefers and entry.dislikes for entry in CATALOGUE.values())
