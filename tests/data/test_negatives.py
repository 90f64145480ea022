"""Negatives: native bonds, wrong arrangements, no clashes, targets that mean what they say."""

import numpy as np
import pytest
import torch

from proteinweaver.data import negatives as forge
from proteinweaver.data.decoys import Relaxation, bonds_of, relax, superposed
from proteinweaver.data.hard_negatives import inverted, is_helical, joined, pieces_of
from proteinweaver.data.negative_sets import NegativeSet, write_negatives
from proteinweaver.data.soundness_batches import SoundnessSource, chain_target
from proteinweaver.data.store import StructureItem, StructureStore
from proteinweaver.data.synthetic import write_synthetic_sets
from proteinweaver.errors import UserError
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.structure.hbonds import hydrogen_bonds
from proteinweaver.structure.ideal import build_backbone, ideal_element
from proteinweaver.structure.torsion_chain import torsion_chain


def item_of(coord, sse=None, domain=None, name="x"):
    length = len(coord)
    none = np.zeros(length, dtype=bool)
    return StructureItem(
        name,
        coord.astype(np.float32),
        np.zeros(length, np.uint8) if sse is None else sse,
        none,
        np.ones(length, np.uint8) if domain is None else domain,
        True,
    )


@pytest.fixture(scope="module")
def helices():
    """Two helices of 34 residues in one chain, joined by a turn of five."""
    sse = np.array([0] * 34 + [2] * 5 + [0] * 34, np.uint8)

    phi, psi = np.full(73, np.radians(-63.0)), np.full(73, np.radians(-42.5))
    phi[34:39] = np.radians([-70, -65, 60, -95, -70])
    psi[34:39] = np.radians([145, -35, 40, 5, 145])
    coord = build_backbone(torch.from_numpy(phi), torch.from_numpy(psi)).numpy()
    return item_of(coord, sse)


def bonds(coord):
    line = coord[:, :3].reshape(-1, 3).astype(np.float64)
    return np.linalg.norm(np.diff(line, axis=0), axis=-1)


def closest(coord):
    ca = coord[:, 1]
    distance = np.linalg.norm(ca[:, None] - ca, axis=-1)
    return distance[np.triu_indices(len(ca), 3)].min()


def gyration(coord):
    ca = coord[:, 1]
    return float(np.sqrt(((ca - ca.mean(0)) ** 2).sum(-1).mean()))


def test_relaxing_compacts_without_clashes(helices):
    chain = torsion_chain(helices.coord)
    goal = Relaxation(0.75 * gyration(helices.coord), np.where(helices.sse == 2, 5.0, 200.0))
    coord = relax(chain, goal)
    assert gyration(coord) < 0.85 * gyration(helices.coord)
    assert closest(coord) > 3.4
    assert np.allclose(bonds(coord), bonds(helices.coord), atol=1e-4)


def test_distortion_grows_with_its_size(helices):
    made = [forge.distorted(helices, size, np.random.default_rng(1)) for size in (0.0, 2.0, 8.0)]
    right = [float(m.target.mean()) for m in made]
    assert right[0] > 0.9 > right[2]
    assert right[0] > right[1] > right[2]
    assert chain_target(made[0]) == 1.0
    for m in made:
        assert np.allclose(bonds(m.coord), bonds(helices.coord), atol=1e-3)


def test_glued_and_swapped_chains_hold_together(helices):
    rng = np.random.default_rng(2)
    glued = forge.glued([helices], 60, rng)
    swapped = forge.swapped(
        item_of(helices.coord, np.array(([0] * 12 + [2] * 3) * 5, np.uint8)[:73]), rng
    )
    assert len(glued.coord) == 60
    assert len(swapped.coord) == 73
    for made in (glued, swapped):
        assert abs(bonds(made.coord)[2::3] - 1.329).max() < 0.01  # C-N
        assert not made.target.any()
        assert chain_target(made) == 0


def test_a_mirror_keeps_the_hand_of_helices(helices):
    made = forge.mirrored(helices.crop(14, 60), np.random.default_rng(0))
    assert chain_metrics(made.coord).helix_right > 0.95
    assert made.size < 12


def test_bonds_are_those_of_the_energy_criterion(helices):
    """In a helix N of residue i + 4 is bonded to O of residue i, whichever criterion is used."""
    found = bonds_of(helices.coord)
    best = hydrogen_bonds(helices.coord)
    inside = [*range(5, 34), *range(44, 73)]
    pairs = set(zip(found.donor.tolist(), found.acceptor.tolist(), strict=True))
    assert {(i, int(best[i])) for i in inside} <= pairs
    part = found.inside(10, 30)
    assert part.donor.min() >= 0
    assert max(part.donor.max(), part.acceptor.max()) < 20
    moved = part.behind(7)
    assert set(zip(moved.donor + 3, moved.acceptor + 3, strict=True)) <= pairs


def test_bonds_are_held_against_noise(helices):
    """Noise on all torsions breaks hydrogen bonds; with springs on them they come back."""
    chain, soft = torsion_chain(helices.coord), np.full(73, 0.5)
    noise = np.radians(30.0) * np.random.default_rng(5).standard_normal((2, 73))
    kept = {}
    for name, held in (("free", None), ("held", bonds_of(helices.coord))):
        coord = relax(chain, Relaxation(0.0, soft, bonds=held), noise[0], noise[1])
        kept[name] = float((hydrogen_bonds(coord) >= 0).mean())
    assert kept["held"] > kept["free"] + 0.2
    assert kept["held"] > 0.7


def test_pieces_keep_their_bonds_and_join_to_a_chain(helices):
    pieces = pieces_of(helices)
    assert {(p.start, p.stop) for p in pieces} >= {(1, 36), (36, 72)}
    length = 0
    for piece in pieces:
        assert 20 <= len(piece) <= 58
        length = max(length, len(piece))
    made = joined([pieces], 80, np.random.default_rng(1))
    assert made is not None
    assert abs(len(made.coord) - 80) <= 20
    assert abs(bonds(made.coord)[2::3] - 1.329).max() < 0.01
    assert chain_metrics(made.coord).hb > 0.6
    assert not made.target.any()
    assert joined([pieces], 10, np.random.default_rng(1)) is None


def test_an_inverted_bundle_keeps_its_helices(helices):
    assert is_helical(helices.coord)
    made = inverted(helices, np.random.default_rng(0))
    native, found = chain_metrics(helices.coord), chain_metrics(made.coord)
    assert found.helix_right > 0.95
    assert found.hb > 0.8 * native.hb
    assert found.clash_36 == 0


def test_poses_move_one_domain_as_a_body():
    one = ideal_element("H", 40).numpy()
    one = (one - one[:, 1].mean(0)) @ np.linalg.svd(one[:, 1] - one[:, 1].mean(0))[2].T
    two = one + np.array([0.0, 9.0, 0.0])
    coord = np.concatenate((one, two))
    item = item_of(coord, domain=np.repeat([1, 2], 40).astype(np.uint8))
    found = forge.posed(item, np.random.default_rng(0), tries=200)
    assert found is not None
    wrong, control = found
    assert (len(wrong.coord), wrong.kind, control.kind) == (76, "posed", "paired")
    cut = int(np.flatnonzero(wrong.break_after)[0]) + 1
    for rows in (slice(0, cut), slice(cut, None)):
        moved, native = wrong.coord[rows], control.coord[rows]
        off = superposed(moved.reshape(-1, 3).astype(float), native.reshape(-1, 3).astype(float))
        assert np.abs(off - native.reshape(-1, 3)).max() < 1e-3

    def contacts(m):
        ca = m.coord[:, 1]
        return (np.linalg.norm(ca[:cut, None] - ca[None, cut:], axis=-1) < 8).sum()

    assert 0.6 < contacts(wrong) / contacts(control) < 1.6
    assert control.target.min() == 1 > wrong.target.mean()
    between = np.linalg.norm(
        wrong.coord[:cut, None, :, None] - wrong.coord[None, cut:, None], axis=-1
    )
    assert between.min() > 2.7


def test_local_agreement_is_symmetric_and_ignores_pose(helices):
    turned = helices.coord @ np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32) + 5
    other = forge.distorted(helices, 6.0, np.random.default_rng(4)).coord
    assert np.allclose(forge.local_agreement(helices.coord, turned), 1.0)
    there, back = (
        forge.local_agreement(other, helices.coord),
        forge.local_agreement(helices.coord, other),
    )
    assert np.allclose(there, back)
    assert there.min() < 1


@pytest.fixture(scope="module")
def sets(tmp_path_factory, helices):
    folder = tmp_path_factory.mktemp("sets")
    write_synthetic_sets(folder)
    rng = np.random.default_rng(0)
    made = [forge.distorted(helices, 8.0, rng), forge.glued([helices], 45, rng)]
    write_negatives(folder / "negatives-train.npz", made)
    stores = {name: StructureStore(folder / f"{name}.npz") for name in ("domains", "chains")}
    return stores, NegativeSet.read(folder / "negatives-train.npz"), made


def test_sets_come_back_as_written(sets):
    _, read, made = sets
    assert len(read) == 2
    for k, before in enumerate(made):
        after = read.item(k)
        assert (after.kind, after.size) == (before.kind, before.size)
        centred = before.coord - before.coord[:, 1].mean(0)
        assert np.abs(after.coord - centred).max() <= 0.0051
        assert np.allclose(after.target, before.target, atol=1e-3)


def test_a_missing_set_is_one_line(tmp_path):
    with pytest.raises(UserError, match="build_negatives"):
        NegativeSet.read(tmp_path / "none.npz")


def test_batches_are_keyed_and_leave_out_what_they_should(sets):
    stores, read, _ = sets

    def source(without=()):
        return SoundnessSource(stores, read, "train", 300, 8, 3, 0.1, 5, without)

    first, again = source().batch(3), source().batch(3)
    assert bool((first.chains.coord == again.chains.coord).all())
    assert not bool((first.chains.coord[:40] == source().batch(4).chains.coord[:40]).all())
    assert first.residues == 300
    whole = first.chains.item.bincount()
    assert not first.weight[:, whole < 40].any()  # cut to fill the batch
    assert first.weight.shape == (3, len(first.chain_target))
    lengths = {
        int(n)
        for k in range(12)
        for batch in [source(("glued",)).batch(k)]
        for n, t, w in zip(
            batch.chains.item.bincount(), batch.chain_target, batch.weight.amax(0), strict=True
        )
        if t < 0.5 and w
    }
    assert lengths == {73}  # the distorted one; the glued chain of 45 is never drawn


def test_poses_come_with_their_controls(sets, tmp_path, helices):
    stores, *_ = sets
    nothing = np.zeros(73, np.float32)
    kinds = ("posed", "paired", "posed", "posed", "paired")  # one control missed the gate
    made = [
        forge.Negative(kind, 0.0, name, helices.coord + k, nothing.astype(bool), nothing)
        for k, (kind, name) in enumerate(zip(kinds, "aabcc", strict=True))
    ]
    write_negatives(tmp_path / "negatives.npz", made)
    read = NegativeSet.read(tmp_path / "negatives.npz")
    source = SoundnessSource(stores, read, "train", 2000, 8, 1, 0.0, 5)
    targets = torch.cat([source.batch(k).chain_target for k in range(4)])
    lengths = torch.cat([source.batch(k).chains.item.bincount() for k in range(4)])
    assert 0 in targets[lengths == 73]
    wrong = int((targets == 0).sum())
    right = int(((targets == 1) & (lengths == 73)).sum())
    assert wrong > 5
    assert abs(wrong - right) <= 4  # only the cut at a batch's end may part them
