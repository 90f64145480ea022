"""Weight files: a round trip, and every way in which a pair can be broken."""

import hashlib
import json
import shutil

import pytest
import torch

from proteinweaver.errors import UserError
from proteinweaver.io.installation import installation
from proteinweaver.io.weights import read_weights, read_weights_card, save_weights

CONFIG = {"denoiser": {"width": 16, "offsets": [1, 2]}, "process": {"rho_max": 400.0}}
META = {"stage": "domain", "steps": 12, "command": "train"}


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3).half(), "n": torch.arange(5)}


@pytest.fixture
def pair(tmp_path, state):
    save_weights(tmp_path, "net", state, CONFIG, META)
    return tmp_path / "net.safetensors"


def test_round_trip(pair, state):
    found = read_weights(pair)
    assert found.config == CONFIG
    assert found.meta == META
    assert found.state.keys() == state.keys()
    for name, tensor in state.items():
        assert found.state[name].dtype == tensor.dtype
        assert torch.equal(found.state[name], tensor)
    assert found.sha256 == hashlib.sha256(pair.read_bytes()).hexdigest()
    assert sorted(p.name for p in pair.parent.iterdir()) == ["net.json", "net.safetensors"]


def test_either_file_names_the_pair(pair):
    assert read_weights(pair.with_suffix(".json")).sha256 == read_weights(pair).sha256
    assert read_weights_card(pair)["meta"] == META


def test_the_same_content_gives_the_same_hash(tmp_path, state):
    first = save_weights(tmp_path / "x", "net", state, CONFIG, META)
    assert save_weights(tmp_path / "y", "net", state, CONFIG, {"other": 1}) == first


def _flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(bytes(data))


def _edit(file, **changes):
    card = json.loads(file.read_text())
    card.update(changes)
    file.write_text(json.dumps(card))


BREAK = {
    "tensors missing": (lambda f: f.unlink(), "no such weights"),
    "json missing": (lambda f: f.with_suffix(".json").unlink(), "missing"),
    "one bit flipped": (lambda f: _flip(f, -1), "damaged"),
    "header flipped": (lambda f: _flip(f, 12), "damaged"),
    "truncated": (lambda f: f.write_bytes(f.read_bytes()[:-7]), "damaged"),
    "empty": (lambda f: f.write_bytes(b""), "damaged"),
    "not JSON": (lambda f: f.with_suffix(".json").write_text("{"), "not readable"),
    "binary JSON": (lambda f: f.with_suffix(".json").write_bytes(b"\xff\xfe\x00"), "not readable"),
    "a list": (lambda f: f.with_suffix(".json").write_text("[]"), "format is list"),
    "another format": (lambda f: _edit(f.with_suffix(".json"), format="x-2"), "format is x-2"),
    "no hash": (lambda f: _edit(f.with_suffix(".json"), sha256=None), "'sha256' is missing"),
    "no config": (lambda f: _edit(f.with_suffix(".json"), config=3), "'config' is missing"),
}


@pytest.mark.parametrize("how", BREAK)
def test_a_broken_pair_is_refused_in_one_line(pair, how):
    spoil, said = BREAK[how]
    spoil(pair)
    with pytest.raises(UserError, match=said) as caught:
        read_weights(pair)
    assert "\n" not in str(caught.value)
    assert str(pair.parent) in str(caught.value)


def test_a_file_that_is_no_safetensors_but_has_its_hash(pair):
    pair.write_bytes(b"not tensors at all")
    _edit(pair.with_suffix(".json"), sha256=hashlib.sha256(pair.read_bytes()).hexdigest())
    with pytest.raises(UserError, match="not a safetensors file"):
        read_weights(pair)


def test_two_pairs_mixed_up(tmp_path, state, pair):
    other = {**state, "a.weight": state["a.weight"] + 1}
    save_weights(tmp_path / "other", "net", other, CONFIG, META)
    shutil.copy(tmp_path / "other" / "net.safetensors", pair)
    with pytest.raises(UserError, match=r"not the partner of its \.json"):
        read_weights(pair)


def test_weights_that_are_not_finite_are_not_written(tmp_path, state):
    state["a.weight"][0, 0] = float("nan")
    with pytest.raises(UserError, match=r"a\.weight holds values that are not finite"):
        save_weights(tmp_path / "new", "net", state, CONFIG, META)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["a/b", "", "a b", "../x"])
def test_a_name_is_a_name(tmp_path, state, name):
    with pytest.raises(UserError, match="not a name"):
        save_weights(tmp_path, name, state, CONFIG, META)


def test_a_folder_that_is_a_file(tmp_path, state):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        save_weights(tmp_path / "taken", "net", state, CONFIG, META)


def test_installation_lists_weights_and_their_faults(tmp_path, state):
    save_weights(tmp_path, "good", state, CONFIG, META)
    save_weights(tmp_path, "bad", state, CONFIG, META)
    _flip(tmp_path / "bad.safetensors", -1)
    found = installation(tmp_path)
    assert found["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert found["devices"][0]["name"] == "cpu"
    assert found["weights"]["good"]["status"] == "ok"
    assert found["weights"]["good"]["meta"]["steps"] == 12
    assert "damaged" in found["weights"]["bad"]["status"]
