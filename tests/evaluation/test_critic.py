"""Judging and designing: what is one number, what is exact, what a user's file can do wrong."""

import zlib

import numpy as np
import pytest
import torch

from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import (
    CRITIC_COLUMNS,
    Calibration,
    critic_columns,
    load_critic,
    packed,
    soundness_of,
)
from proteinweaver.evaluation.sequence import design_sequences, sequence_nats
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


@pytest.fixture(scope="module")
def critic(tiny_critic):
    return load_critic(tiny_critic)


@pytest.fixture(scope="module")
def backbone(coil):
    return Backbone.from_coord(coil, sequence="ACDEFGHIKLMNPQRSTVWY" * 3, name="coil")


def test_numbers_do_not_depend_on_company(critic, backbone, helix):
    other = Backbone.from_coord(helix, name="helix")
    alone = soundness_of([backbone], critic)[0]
    among = soundness_of([other] * 90 + [backbone, other], critic)[90]  # more than one group
    assert among.soundness == pytest.approx(alone.soundness, abs=1e-6)
    assert np.allclose(among.residue, alone.residue, atol=1e-6)
    assert alone.lowest == pytest.approx(
        min(alone.residue[k : k + 9].mean() for k in range(52)), abs=1e-9
    )


def test_calibration_is_the_logistic_law_and_the_gate_decides_too(critic, helix):
    law = Calibration(2.0, -1.0, 0.0)
    assert law.probability([0.5, 3.0]) == pytest.approx([0.5, 1 / (1 + np.exp(-5.0))])
    whole = Backbone.from_coord(helix)
    torn = Backbone.from_coord(helix + np.where(np.arange(40) > 20, 5.0, 0.0)[:, None, None])
    everything = type(critic)(critic.net, law, "")
    assert soundness_of([whole, torn], everything, [True, True])[1].passed
    found = soundness_of([torn, whole], everything)
    assert not found[0].passed  # a broken bond, whatever the network says


def test_columns_of_a_table(critic, backbone, helix):
    bare = Backbone.from_coord(np.where(np.arange(4)[:, None] == 1, helix, np.nan), name="ca")
    rows = critic_columns([bare, backbone], critic, [True, False])
    assert [set(row) for row in rows] == [set(CRITIC_COLUMNS)] * 2
    assert np.isnan(rows[0]["soundness"]) and rows[0]["pass"] == 0
    assert 0 <= rows[1]["soundness"] <= 1 and rows[1]["pass"] == 0
    with pytest.raises(UserError, match="ca: only CA atoms"):
        soundness_of([bare], critic)


def test_drawing_residue_by_residue_is_the_network_s_own_law(critic, backbone):
    """The summed log-probability of a drawn sequence is that of one pass in the same order."""
    fixed = np.zeros(60, bool)
    fixed[10:30] = True
    design = design_sequences(backbone, 1, temperature=1.0, fixed=fixed, seed=3, critic=critic)[0]
    key = np.random.default_rng([3, zlib.crc32(b"coil"), 0])
    order = np.lexsort((key.random(60), ~fixed))
    rank = torch.empty(60, dtype=torch.long)
    rank[torch.from_numpy(order)] = torch.arange(60)
    drawn = backbone.replace(
        aatype=Backbone.from_coord(backbone.coord, sequence=design.sequence).aatype
    )
    amino = torch.from_numpy(drawn.aatype.astype(np.int64))
    chains = packed([backbone], critic.net.config.neighbours)
    with torch.no_grad():
        logits = critic.net.sequence_logits(critic.net.trunk(chains), chains, amino, rank)
    nats = -torch.log_softmax(logits, -1)[torch.arange(60), amino][torch.from_numpy(~fixed)]
    assert design.designed == 40
    assert design.nats == pytest.approx(float(nats.mean()), abs=1e-5)
    assert design.sequence[10:30] == backbone.sequence[10:30]


def test_temperature_omission_and_keys(critic, backbone):
    first = design_sequences(backbone, 3, temperature=0.5, omit="GA", seed=1, critic=critic)
    assert not set("GA") & set("".join(d.sequence for d in first))
    assert len({d.sequence for d in first}) == 3
    fewer = design_sequences(backbone, 1, temperature=0.5, omit="GA", seed=1, critic=critic)
    assert fewer[0].sequence == first[0].sequence
    other = design_sequences(backbone, 1, temperature=0.5, omit="GA", seed=2, critic=critic)
    assert other[0].sequence != first[0].sequence
    hot, cold = (
        np.mean([d.nats for d in design_sequences(backbone, 4, temperature=t, critic=critic)])
        for t in (2.0, 0.0)
    )
    assert cold < hot
    unknown = backbone.replace(aatype=np.full(60, 20))
    free = design_sequences(unknown, 1, fixed=np.ones(60, bool), critic=critic)[0]
    assert (free.designed, "X" in free.sequence) == (60, False)


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"temperature": -1.0}, {"omit": "B"}, {"fixed": np.ones(3, bool)}]
)
def test_what_cannot_be_designed_is_refused(critic, backbone, wrong):
    with pytest.raises(ValueError):
        design_sequences(backbone, critic=critic, **wrong)


def test_nats_of_the_native_sequence(critic, backbone):
    nats, right = sequence_nats(backbone, orders=2, critic=critic)
    assert nats.shape == right.shape == (60,)
    assert 2.0 < nats.mean() < 4.5  # a network of random weights knows next to nothing
    unknown = backbone.replace(aatype=np.where(np.arange(60) == 5, 20, backbone.aatype))
    assert np.isnan(sequence_nats(unknown, critic=critic)[0][5])


def test_weights_of_something_else_are_one_line(tiny_weights):
    with pytest.raises(UserError, match="no weights of a critic"):
        load_critic(tiny_weights / "domain.safetensors")


class TestShipped:
    """The critic in the package."""

    def test_it_is_small_enough_and_an_ensemble(self):
        from proteinweaver.io.installation import weights_folder

        size = (weights_folder() / "critic.safetensors").stat().st_size
        assert size < 8 * 2**20
        assert load_critic().net.config.branches >= 3

    @pytest.mark.realdata
    def test_it_tells_natives_from_glued_fragments(self, data_dir):
        from proteinweaver.data.negatives import glued
        from proteinweaver.data.store import StructureStore
        from proteinweaver.evaluation.ranking import auroc

        store = StructureStore(data_dir / "domains.npz")
        members = [k for k in store.members("valid") if 70 <= store.lengths[k] <= 110][:12]
        items = [store.item(int(k)) for k in members]
        rng = np.random.default_rng(0)
        wrong = [Backbone.from_coord(glued(items, 70, rng).coord) for _ in range(5)]
        real = [Backbone.from_coord(item.coord) for item in items]
        good, bad = soundness_of(real), soundness_of(wrong)
        assert auroc([s.logit for s in good], [s.logit for s in bad]) > 0.9
        assert sum(s.passed for s in good) >= 9
        assert sum(s.passed for s in bad) <= 2
        nats = np.mean([np.nanmean(self._nats(store, k)) for k in members[:4]])
        assert nats < 2.5  # composition alone: 2.89

    @staticmethod
    def _nats(store, k):
        first = int(store.arrays["offsets"][k])
        item = store.item(int(k))
        rows = slice(first, first + len(item))
        return sequence_nats(Backbone.from_coord(item.coord, aatype=store.arrays["aatype"][rows]))[
            0
        ]

    def test_a_helix_is_designed_as_a_helix(self):
        """Helix formers, few glycines and no proline inside."""
        helix = Backbone.from_coord(ideal_element("H", 30).numpy(), name="helix")
        text = "".join(d.sequence[5:-5] for d in design_sequences(helix, 4, seed=0))
        assert text.count("P") + text.count("G") <= 4
        assert sum(text.count(a) for a in "AELKRQM") > 0.5 * len(text)
