"""Alignment from a pair file: resumes, refuses what does not belong together, ends in weights."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from proteinweaver.cli.config import compose
from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import load_critic, packed
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.io.installation import weights_folder
from proteinweaver.io.pdb import pdb_text
from proteinweaver.io.weights import assembler_file, read_weights, save_weights
from proteinweaver.nets.adapters import merged_state
from proteinweaver.preference.comparisons import PairSettings
from proteinweaver.preference.control import CollapseConfig, PullConfig
from proteinweaver.preference.named import LISTWISE, OBJECTIVES, ObjectiveConfig
from proteinweaver.preference.pair_file import read_pairs
from proteinweaver.preference.prefs import PrefsRequest, make_pairs
from proteinweaver.preference.rankings import RankingSource, rankings_of
from proteinweaver.preference.reward_gradient import RewardGradientConfig
from proteinweaver.preference.surrogate import SurrogateConfig
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element
from proteinweaver.training.align_config import AdapterConfig, AlignConfig, AlignDataConfig
from proteinweaver.training.align_run import align, held_out_plans
from proteinweaver.training.align_task import AlignTask
from proteinweaver.training.checkpoints import read_checkpoint
from proteinweaver.training.config import LoggerConfig, OptimizerConfig, TrainerConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture(scope="module")
def pairs(tiny_weights, tmp_path_factory) -> Path:
    """Pairs of two plans from an untrained assembler."""
    place = tmp_path_factory.mktemp("align")
    for k, (kind, length) in enumerate((("H", 10), ("E", 8))):
        backbone = Backbone.from_coord(ideal_element(kind, length).numpy(), name=f"d{k}")
        (place / f"d{k}.pdb").write_text(pdb_text(backbone))
    for linker in ("4", "5"):
        assemble(
            AssembleConfig(
                domain=(str(place / "d0.pdb"), str(place / "d1.pdb")), linker=(linker,), n=3,
                out=str(place / f"run{linker}"), name="pair", device="cpu", close=False,
                weights=str(tiny_weights), assembler_sampler=SamplerConfig(num_steps=2),
            )
        )  # fmt: skip
    (place / "mine.py").write_text(
        "import numpy as np\ndef f(b): return float(1 / (1 + np.ptp(b.ca[:, 0]) / 30))\n"
    )
    make_pairs(
        PrefsRequest(
            (str(place / "run4"), str(place / "run5")),
            str(place / "pairs.jsonl"),
            (f"python:call={place / 'mine.py'}:f",),
            settings=PairSettings(margin=0.0, same=0.999),
        )
    )
    return place / "pairs.jsonl"


def config(pairs: Path, weights: Path, out: Path, steps: int = 4) -> AlignConfig:
    return AlignConfig(
        out=str(out),
        init=str(weights / "assembler.safetensors"),
        surrogate=SurrogateConfig(draws=2, strength=10.0),
        data=AlignDataConfig(pairs=str(pairs), batch=2, valid_share=0.5),
        optimizer=OptimizerConfig(lr=1e-3, warmup_steps=0, cooldown=0.0, ema_decay=0.0, clip=1e3),
        trainer=TrainerConfig(
            device="cpu", max_minutes=0.0, max_steps=steps, valid_every=2, valid_batches=1,
            save_minutes=60.0,
        ),
        logger=LoggerConfig(every=1),
    )  # fmt: skip


def test_a_broken_run_ends_where_an_unbroken_one_does(pairs, tiny_weights, tmp_path):
    rows: list[dict[str, float]] = []
    whole = align(config(pairs, tiny_weights, tmp_path / "whole"), rows.append)
    assert whole.finished and whole.step == 4
    assert rows[0]["pairs"] > 0 and rows[0]["held_out"] > 0 and rows[0]["refused"] == 0
    assert rows[1]["won"] == rows[1]["lost"] == 0.0
    steps = [row for row in rows if "won" in row]
    assert {"accuracy", "variance", "kl", "valid/accuracy"} <= set(steps[-1]) | set(whole.metrics)
    broken = config(pairs, tiny_weights, tmp_path / "broken")
    first = align(replace(broken, trainer=replace(broken.trainer, max_steps=2)))
    assert first.step == 2
    second = align(broken)
    assert second.finished and second.step == 4
    one, two = (read_weights(tmp_path / k / "assembler.safetensors") for k in ("whole", "broken"))
    start = read_weights(tiny_weights / "assembler.safetensors")
    moved = max(float((one.state[k] - start.state[k]).abs().max()) for k in one.state)
    apart = max(float((one.state[k] - two.state[k]).abs().max()) for k in one.state)
    assert moved > 1e-3
    assert apart < 1e-5
    assert one.meta["recipe"] == "align-sppo"
    load_model("assembler", tmp_path / "whole", "cpu")  # as `--weights` would


def test_adapters_alone_learn_and_come_out_as_plain_weights(pairs, tiny_weights, tmp_path):
    adapter = AdapterConfig(rank=2, alpha=4.0, layers=("out", "transition"))
    whole = replace(config(pairs, tiny_weights, tmp_path / "whole"), adapter=adapter)
    assert align(whole).finished
    broken = replace(whole, out=str(tmp_path / "broken"))
    align(replace(broken, trainer=replace(broken.trainer, max_steps=2)))
    assert align(broken).step == 4
    start = read_weights(tiny_weights / "assembler.safetensors").state
    one, two = (
        read_weights(tmp_path / k / "assembler.safetensors").state for k in ("whole", "broken")
    )
    assert one.keys() == start.keys()
    for name in start:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-6)
        moved = (one[name] - start[name]).abs().max() > 1e-6
        chosen = name.endswith("weight") and {"out", "transition"} & set(name.split("."))
        if moved:
            assert chosen, name
            assert torch.linalg.matrix_rank(one[name] - start[name], rtol=1e-4) <= 2, name
    assert any((one[name] - start[name]).abs().max() > 1e-4 for name in start)
    load_model("assembler", tmp_path / "whole", "cpu")
    with pytest.raises(UserError, match="another adapter"):
        align(replace(whole, adapter=AdapterConfig()))
    with pytest.raises(UserError, match="no linear layer has 'outt'"):
        align(replace(whole, out=str(tmp_path / "c"), adapter=AdapterConfig(2, layers=("outt",))))


@pytest.mark.parametrize("rank", [0, 2])
def test_a_reference_follows_the_policy(pairs, tiny_weights, tmp_path, monkeypatch, rank):
    """Against the sum written out: ref_n = d^n start + (1 - d) sum_k d^(n - k) policy_k."""
    policies: list[dict[str, torch.Tensor]] = []
    kept: list[dict[str, torch.Tensor]] = []

    class Watched(AlignTask):
        def optimizer_step(self, *args, **kwargs):
            super().optimizer_step(*args, **kwargs)
            state = merged_state(self.net.state_dict())
            policies.append({k: v.detach().double().clone() for k, v in state.items()})
            kept.append({k: v.double().clone() for k, v in self._fixed[0].state_dict().items()})

    monkeypatch.setattr("proteinweaver.training.align_run.AlignTask", Watched)
    base = replace(
        config(pairs, tiny_weights, tmp_path / "whole"),
        adapter=AdapterConfig(rank), trainer=replace(
            config(pairs, tiny_weights, tmp_path).trainer, max_steps=3, valid_every=0
        ),
    )  # fmt: skip
    start = read_weights(tiny_weights / "assembler.safetensors").state
    align(replace(base, reference_ema=0.6))
    assert len(policies) == 3
    for name, first in start.items():
        expected = 0.6**3 * first.double() + 0.4 * sum(
            0.6 ** (2 - k) * policy[name] for k, policy in enumerate(policies)
        )
        torch.testing.assert_close(kept[-1][name], expected, rtol=0, atol=1e-6)
    moved = [float((kept[-1][k] - v).abs().max()) for k, v in start.items()]
    assert max(moved) > 1e-4
    # a broken run has the same reference
    whole = kept[-1]
    broken = replace(base, reference_ema=0.6, out=str(tmp_path / "broken"))
    align(replace(broken, trainer=replace(broken.trainer, max_steps=1)))
    align(broken)
    assert all(torch.allclose(kept[-1][k], whole[k], atol=1e-6) for k in whole)
    # 1 is the one that stays
    align(replace(base, out=str(tmp_path / "frozen"), overwrite=True))
    assert all(torch.equal(kept[-1][k], v.double()) for k, v in start.items())
    with pytest.raises(UserError, match="another reference_ema"):
        align(replace(broken, reference_ema=0.5))
    with pytest.raises(UserError, match="from 0 to 1"):
        replace(broken, reference_ema=1.5)


def test_a_leg_that_collapses_returns_to_its_best_state(
    pairs, tiny_weights, tmp_path, monkeypatch
):
    """Held-out pairs are judged well after step 2, badly after it: step 2's average comes out."""

    class Falling(AlignTask):
        def losses(self, batch):
            loss, figures = super().losses(batch)
            if not self.training:
                figures["accuracy"] = 0.9 if self.step == 2 else 0.3
            return loss, figures

    monkeypatch.setattr("proteinweaver.training.align_run.AlignTask", Falling)
    base = config(pairs, tiny_weights, tmp_path / "short", steps=2)
    base = replace(base, optimizer=replace(base.optimizer, ema_decay=0.5))
    align(base)
    best = read_weights(tmp_path / "short" / "assembler.safetensors")
    watched = replace(
        base, out=str(tmp_path / "whole"), collapse=CollapseConfig(patience=2),
        trainer=replace(base.trainer, max_steps=20),
    )  # fmt: skip
    result = align(watched)
    assert result.finished and result.step == 7  # bad after 4 and 6
    assert result.metrics["returned_to"] == 2
    broken = replace(watched, out=str(tmp_path / "broken"))
    for steps in (3, 5):
        assert align(replace(broken, trainer=replace(broken.trainer, max_steps=steps))).finished
    assert align(broken).step == 7
    assert align(broken).step == 7  # over is over
    for name in ("whole", "broken"):
        found = read_weights(tmp_path / name / "assembler.safetensors")
        assert found.meta["steps"] == 2
        for key, value in best.state.items():
            torch.testing.assert_close(found.state[key], value, rtol=0, atol=1e-6)
    with pytest.raises(UserError, match=r"collapse.patience needs data.valid_share"):
        replace(watched, data=replace(watched.data, valid_share=0.0))


def test_a_pull_holds_the_policy_near_the_first_reference(pairs, tiny_weights, tmp_path):
    """Without a pull the policy leaves; with one it is nearer, and the strength adapts."""
    far = {}
    for name, pull in (
        ("free", PullConfig(strength=1e-9)),
        ("held", PullConfig(strength=3.0)),
        ("led", PullConfig(strength=1e-3, target=1e-4)),
    ):
        rows: list[dict[str, float]] = []
        one = replace(config(pairs, tiny_weights, tmp_path / name, steps=8), pull=pull)
        one = replace(one, trainer=replace(one.trainer, valid_every=0))
        align(one, rows.append)
        steps = [row for row in rows if "far" in row]
        assert steps[0]["far"] == 0.0  # it begins where the reference is
        far[name] = steps[-1]["far"]
        strengths = [row["strength"] for row in steps]
        if name == "led":  # rises by its bound as long as the divergence is far beyond the target
            expected = [1e-3 * 0.98, *(1e-3 * 0.98 * 1.02**k for k in range(1, 7))]
            np.testing.assert_allclose(strengths[1:], expected, rtol=1e-6)
        else:
            np.testing.assert_allclose(strengths, pull.strength, rtol=1e-6)
    assert far["held"] < 0.5 * far["free"]
    broken = replace(one, out=str(tmp_path / "broken"))
    align(replace(broken, trainer=replace(broken.trainer, max_steps=3)))
    assert align(broken).metrics["strength"] == pytest.approx(strengths[-1], rel=1e-6)
    with pytest.raises(UserError, match=r"pull.strength is 0"):
        replace(one, first="a.safetensors", pull=PullConfig())


def test_a_soft_reward_is_climbed(pairs, tiny_weights, tmp_path):
    """The reward of held-out plans, always from the same noise, rises; a broken run agrees."""
    rows: list[dict[str, float]] = []
    one = config(pairs, tiny_weights, tmp_path / "whole", steps=8)
    one = replace(
        one, reward_gradient=RewardGradientConfig(last=2, num_steps=3, end=0.5, drift=0.0)
    )
    one = replace(one, optimizer=replace(one.optimizer, lr=1e-3))
    assert align(one, rows.append).finished
    measured = [-row["valid/total"] for row in rows if "valid/total" in row]
    assert measured[-1] > measured[0] + 0.01
    assert {"valid/contacts", "valid/overlap", "valid/kl", "valid/accuracy"} <= set(rows[-1])
    assert "won" not in rows[1] and {"contacts", "overlap"} <= set(rows[1])
    broken = replace(one, out=str(tmp_path / "broken"))
    align(replace(broken, trainer=replace(broken.trainer, max_steps=3)))
    align(broken)
    whole, other = (
        read_weights(tmp_path / k / "assembler.safetensors") for k in ("whole", "broken")
    )
    assert whole.meta["recipe"] == "align-reward-gradient"
    assert all(torch.allclose(whole.state[k], other.state[k], atol=1e-5) for k in whole.state)
    with pytest.raises(UserError, match="another reward_gradient"):
        align(replace(one, reward_gradient=RewardGradientConfig()))


def test_linkers_between_held_domains_climb(pairs, tiny_weights, tmp_path):
    """Samples begin at the designs of the pairs; domains stay, linkers learn."""
    rows: list[dict[str, float]] = []
    climb = RewardGradientConfig(
        last=2, num_steps=2, start=0.3, contacts=0.0, soundness=1.0, drift=0.0
    )
    one = config(pairs, tiny_weights, tmp_path / "linkers", steps=12)
    one = replace(one, init="", data=replace(one.data, offline=True))  # shipped weights
    one = replace(one, optimizer=replace(one.optimizer, lr=2e-4, warmup_steps=1))
    assert align(replace(one, reward_gradient=climb), rows.append).finished
    measured = [-row["valid/total"] for row in rows if "valid/total" in row]
    assert measured[-1] > measured[0] + 1e-4
    card = read_checkpoint(tmp_path / "linkers" / "last.ckpt").card
    assert card["start"] == read_weights(assembler_file(weights_folder())).sha256


def test_the_critic_is_climbed_and_another_branch_looks_on(pairs, tiny_weights, tmp_path):
    rows: list[dict[str, float]] = []
    climb = RewardGradientConfig(
        last=2, num_steps=2, contacts=0.0, clash=0.0, drift=0.0, soundness=1.0
    )
    one = config(pairs, tiny_weights, tmp_path / "climbs", steps=2)
    assert align(replace(one, reward_gradient=climb), rows.append).finished
    first = next(row for row in rows if "soundness" in row)
    assert first["total"] == pytest.approx(-first["soundness"], abs=1e-6)
    assert 0 < first["held_out"] < 1 and first["held_out"] != first["soundness"]
    missing = replace(climb, branches=(0, 7))
    one = replace(one, out=str(tmp_path / "missing"), reward_gradient=missing)
    with pytest.raises(UserError, match=r"\[0, 7\]; the critic has branches 0 to 2"):
        align(one)


def test_what_does_not_belong_together_is_refused(pairs, tiny_weights, tmp_path):
    good = config(pairs, tiny_weights, tmp_path / "run", steps=1)
    align(good)
    with pytest.raises(UserError, match="another objective"):
        align(replace(good, objective=ObjectiveConfig("dpo")))
    other = tmp_path / "run" / "assembler.safetensors"  # the next round's start
    with pytest.raises(UserError, match="made by model"):
        align(replace(good, init=str(other), out=str(tmp_path / "b")))
    offline = replace(good.data, offline=True)
    soup = f"{tiny_weights / 'assembler.safetensors'},{other}"
    next_round = replace(
        good, init=str(other), reference=soup, data=offline, out=str(tmp_path / "b")
    )
    assert align(next_round).finished
    with pytest.raises(UserError, match="no pairs; make them"):
        align(replace(good, data=replace(good.data, pairs="")))
    with pytest.raises(UserError, match="no folder"):
        align(replace(good, out=""))


def test_a_run_that_goes_too_far_stops(pairs, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setattr("proteinweaver.training.align_task._WAIT", 1)
    wild = config(pairs, tiny_weights, tmp_path, steps=12)
    wild = replace(wild, kl_limit=1e-3, optimizer=replace(wild.optimizer, lr=0.3))  # to ruin
    result = align(wild)
    assert result.finished and result.step < 12


def test_batches(pairs):
    read = read_pairs(pairs)
    source = RankingSource(pairs, rankings_of(read.pairs, 2, 0), 2, seed=3)
    count = len(read.pairs)
    batches = [source.batch(k) for k in range(count)]
    seen = [key.split("/")[1] for batch in batches for key in batch.keys]
    for epoch in (seen[:count], seen[count:]):
        assert sorted(epoch) == sorted(str(pair.number) for pair in read.pairs)
    torch.testing.assert_close(source.batch(1).best, batches[1].best)  # a function of its number
    keys = {key for batch in batches for key in batch.keys}
    assert len(keys) == 2 * count  # fresh noise every time
    coin = RankingSource(pairs, rankings_of(read.pairs, 2, 0), 1, seed=3, control=True)
    flips = []
    for k in range(count):
        mine, plain = (
            coin.batch(k),
            RankingSource(pairs, rankings_of(read.pairs, 2, 0), 1, seed=3).batch(k),
        )
        assert mine.keys == plain.keys
        flips.append(bool(torch.equal(mine.best, plain.ranked[:, 1])))
        assert flips[-1] or torch.equal(mine.best, plain.best)
    assert any(flips) and not all(flips)


def test_longer_rankings(pairs):
    """Three designs of a plan each, best first; superposed on the best, noise shared."""
    read = read_pairs(pairs)
    lists = rankings_of(read.pairs, 3, seed=0)
    assert len(lists) == 2  # two plans of three designs
    for one in lists:
        scores = [record["score"] for record in one.records]
        assert scores == sorted(scores, reverse=True)
        assert len({record["plan"] for record in one.records}) == 1
        assert one.rates == tuple(record["win_rate"] for record in one.records)
    batch = RankingSource(pairs, lists, 2, seed=1).batch(0)
    assert batch.ranked.shape[:2] == (2, 3)
    assert batch.residues == 3 * int(batch.condition.mask.sum())
    coin = RankingSource(pairs, lists, 2, seed=1, control=True).batch(0)
    assert coin.rates.eq(0.5).all()
    for mine, plain in zip(coin.ranked, batch.ranked, strict=True):
        assert sorted(map(float, mine.abs().sum((1, 2, 3)))) == pytest.approx(
            sorted(map(float, plain.abs().sum((1, 2, 3)))), rel=1e-5
        )
    with pytest.raises(UserError, match="no plan has 4 designs"):
        rankings_of(read.pairs, 4, seed=0)


def test_residues_count_by_the_critic(pairs):
    """What is native in the best design counts there, and what is not in the others."""
    read = read_pairs(pairs)
    ranking = rankings_of(read.pairs, 2, 0)[:1]
    plain = RankingSource(pairs, ranking, 1, seed=0).batch(0)
    batch = RankingSource(pairs, ranking, 1, seed=0, branches=(0, 1)).batch(0)
    assert plain.residue_weight is None and batch.residue_weight is not None
    for place, coord in enumerate(batch.ranked[0]):
        # another way to the same numbers: branch by branch, from the whole judgement
        critic = load_critic()
        chains = packed([Backbone.from_coord(coord.numpy())], critic.net.config.judge_neighbours)
        shares = torch.sigmoid(critic.net.judge(chains).residue)
        share = (shares[0] + shares[1]) / 2
        expected = share if place == 0 else 1 - share
        torch.testing.assert_close(batch.residue_weight[0, place], expected.float())
    with pytest.raises(UserError, match="branches 0 to 2"):
        RankingSource(pairs, ranking, 1, seed=0, branches=(3,)).batch(0)


@pytest.mark.parametrize("name", ["plackett-luce", "game", "d2o"])
def test_lists_and_later_rounds_train(pairs, tiny_weights, tmp_path, name):
    size = 3 if name in LISTWISE else 2
    first = tmp_path / "first.safetensors"
    source = read_weights(tiny_weights / "assembler.safetensors")
    moved = {k: v.float() * 1.01 for k, v in source.state.items()}
    save_weights(tmp_path, "first", moved, source.config, source.meta)
    one = config(pairs, tiny_weights, tmp_path / "whole")
    one = replace(
        one,
        objective=ObjectiveConfig(name),
        data=replace(one.data, list_size=size, residue_branches=(0, 1)),
        first="" if name in LISTWISE else str(first),
    )
    whole = align(one)
    assert whole.finished and np.isfinite(whole.metrics["valid/total"])
    with pytest.raises(UserError, match="another data"):
        align(replace(one, data=replace(one.data, residue_branches=())))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data.list_size=1"], "2 for pairs"),
        (["data.list_size=3"], "sppo compares two designs; longer lists go with d2o"),
        (["first=a.safetensors", "objective.name=dpo"], "give a strength, or one of anchored-dpo"),
    ],
)
def test_lists_and_references_that_nothing_uses(words, text):
    with pytest.raises(UserError, match=text):
        compose("align", AlignConfig, words)


def test_held_out_plans_survive_more_pairs():
    plans = [f"{k:016x}" for k in range(40)]
    some = held_out_plans(plans, 0.25)
    assert len(some) == 10
    assert held_out_plans(plans[:1], 0.9) == set()
    assert len(held_out_plans(plans + plans, 0.25)) == 10
    kept = some & held_out_plans([*plans, *(f"new{k}" for k in range(4))], 0.25)
    assert len(kept) >= 8
    assert np.isclose(len(held_out_plans(plans, 0.0)), 0)


def test_every_experiment_composes():
    found = sorted(CONFIGS.glob("experiment/align_*.yaml"))
    assert len(found) == len(OBJECTIVES) + 1
    for file in found:
        made = compose("align", AlignConfig, [f"experiment={file.stem}", "objective.beta=2"])
        own = "reward-gradient" if made.reward_gradient.last else made.objective.name
        assert f"align_{own}" == file.stem
        assert made.objective.name in OBJECTIVES
        assert made.objective.beta == 2
    assert compose("align", AlignConfig) == AlignConfig()
    with pytest.raises(UserError, match="at least 2"):
        compose("align", AlignConfig, ["surrogate.draws=1"])


@pytest.mark.parametrize("poses", ["found", "noise"])
def test_rows_of_the_ablation_are_legs_that_differ(monkeypatch, poses):
    """Every objective has a row; each composes, and no two are the same leg."""
    monkeypatch.syspath_prepend(str(CONFIGS.parent / "scripts"))
    ablation = importlib.import_module("ablate_alignment")
    assert set(OBJECTIVES) <= set(ablation.ROWS)
    legs = {
        name: compose("align", AlignConfig, [*ablation.COMMON, ablation.START[poses], *words])
        for name, words in ablation.ROWS.items()
    }
    for name, leg in legs.items():
        assert leg.surrogate.start == {"found": 0.3, "noise": 1.0}[poses]
        assert all(leg != other for key, other in legs.items() if key != name)
    assert legs["control"] == replace(legs["sppo"], data=replace(legs["sppo"].data, control=True))


@pytest.fixture(scope="module")
def rounds():
    """The script, as a module."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "align_rounds", CONFIGS.parent / "scripts" / "align_rounds.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_rounds_go_on_where_they_were_killed(rounds, pairs, tiny_weights, tmp_path, monkeypatch):
    """Two rounds at once, and two killed between comparing and aligning: the same weights."""
    place = pairs.parent
    sets = tmp_path / "sets.jsonl"
    domains = [str(place / "d0.pdb"), str(place / "d1.pdb")]
    sets.write_text(
        "".join(
            f'{{"name": "s{k}", "domain": ["{domains[0]}", "{domains[1]}"], "linker": ["{k}"]}}\n'
            for k in (4, 5)
        )
    )
    words = [str(sets), "--rounds", "2", "--samples", "3", "--steps", "2", "--num-steps", "2",
             "--draws", "2", "--device", "cpu", "--max-diversity", "1",
             "--margin", "0", "--same", "0.999", "--reward", f"python:call={place / 'mine.py'}:f",
             "--start", str(tiny_weights / "assembler.safetensors")]  # fmt: skip
    rounds.main([*words, "-o", str(tmp_path / "whole")])

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "align", killed)
        with pytest.raises(KeyboardInterrupt):
            rounds.main([*words, "-o", str(tmp_path / "broken")])
    rounds.main([*words, "-o", str(tmp_path / "broken")])
    one, two = (
        read_weights(tmp_path / k / "2/assembler.safetensors") for k in ("whole", "broken")
    )
    assert all(torch.allclose(one.state[k], two.state[k], atol=1e-6) for k in one.state)
    first = read_weights(tmp_path / "whole/1/assembler.safetensors")
    header = (tmp_path / "whole/2/pairs.jsonl").read_text().splitlines()[0]
    assert first.sha256 in header  # round 2 compares samples of round 1
    rows = [json.loads(line) for line in (tmp_path / "whole/rounds.jsonl").open()]
    assert [row["round"] for row in rows] == [1, 2, 3]  # the last one judges round 2's weights
    assert all(row["sets"] == 2 and 0 <= row["held_out"] <= 1 for row in rows)
    assert rows[2]["weights"] == two.sha256[:12]
    assert read_weights(tmp_path / "whole/assembler").sha256 == one.sha256
    assert (tmp_path / "broken/rounds.jsonl").read_text() == (
        tmp_path / "whole/rounds.jsonl"
    ).read_text()
    # collapse: back to the last good weights, the start
    monkeypatch.setattr(rounds, "collapse", lambda first, now, _: "bad" * (now != first))
    rounds.main([*words, "-o", str(tmp_path / "whole")])
    start = read_weights(tiny_weights / "assembler.safetensors").sha256
    assert read_weights(tmp_path / "whole/assembler").sha256 == start
    # no time: nothing is lost
    with pytest.raises(UserError, match="budget is used"):
        rounds.main([*words, "-o", str(tmp_path / "d"), "--budget", "0"])
    with pytest.raises(UserError, match="must be exact"):
        sets.write_text('{"name": "a", "domain": ["x", "y"], "linker": ["5-9"]}\n')
        rounds.main([str(sets), "-o", str(tmp_path / "c")])
