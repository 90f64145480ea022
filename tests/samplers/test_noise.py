"""Keyed noise: stable addresses, and rows that depend on their own key only."""

import hashlib

import pytest
import torch

from samplers.noise import BatchNoise, NoiseKey, NoiseSource, derive_seed


def test_hash_is_the_documented_one():
    """The encoding written out by hand; a change here would change every design."""
    text = b"i1:0s3:jobi2:-5"
    expected = hashlib.blake2b(text, digest_size=8, person=b"samplers.noise").digest()
    assert derive_seed(0, "job", -5) == int.from_bytes(expected, "little")
    assert derive_seed(0, "job", 1) == 4484579431909675192


def test_addresses_do_not_run_into_each_other():
    addresses = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        (1, 23),
        (12, 3),
        (1,),
        ("1",),
        ("", ""),
        ("",),
    ]
    assert len({derive_seed(*a) for a in addresses}) == len(addresses)
    for bad in (1.0, None, True, b"x"):
        with pytest.raises(TypeError, match="address"):
            derive_seed(bad)


def test_every_field_of_the_address_matters():
    base = NoiseKey(1, "job", 2, "assemble")
    draws = [
        base.normal((4,), 0, "sde", 3),
        NoiseKey(2, "job", 2, "assemble").normal((4,), 0, "sde", 3),
        NoiseKey(1, "other", 2, "assemble").normal((4,), 0, "sde", 3),
        NoiseKey(1, "job", 3, "assemble").normal((4,), 0, "sde", 3),
        base.with_stage("domain").normal((4,), 0, "sde", 3),
        base.normal((4,), 1, "sde", 3),
        base.normal((4,), 0, "prior", 3),
        base.normal((4,), 0, "sde", 4),
    ]
    assert len({tuple(d.tolist()) for d in draws}) == len(draws)
    assert torch.equal(draws[0], base.normal((4,), 0, "sde", 3))
    assert draws[0].dtype == torch.float32


def test_draws_leave_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    NoiseKey(1).normal((5,), 0, "sde")
    assert torch.equal(torch.rand(3), expected)


def test_moments():
    z = NoiseKey(7).normal((40000,), 0, "sde")
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1) < 0.02
    u = NoiseKey(7).uniform((40000,), 0, "sde")
    assert 0 <= u.min()
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 0.01


@pytest.mark.parametrize("centred", [(), (0,)])
def test_a_row_is_the_same_alone_and_in_any_batch(centred):
    """Bitwise; padding is zero and never enters a row's own numbers."""
    keys = [NoiseKey(0, "a", 0), NoiseKey(0, "a", 1), NoiseKey(0, "b", 0)]
    lengths = [7, 11, 5]
    batch = BatchNoise(keys, lengths, centred=centred).draw(0, 4, torch.empty(3, 11, 3))
    for row, (key, length) in enumerate(zip(keys, lengths, strict=True)):
        alone = BatchNoise([key], [length], centred=centred)
        alone = alone.draw(0, 4, torch.empty(1, length, 3))
        assert torch.equal(batch[row, :length], alone[0])
        assert (batch[row, length:] == 0).all()
        if centred:
            assert alone.mean(1).abs().max() < 1e-6
        else:
            assert torch.equal(alone[0], key.normal((length, 3), 0, "sde", 4))


def test_noise_follows_dtype_of_the_state():
    source = NoiseSource(NoiseKey(3))
    low, high = source.draw(0, 0, torch.empty(6)), source.draw(0, 0, torch.empty(6).double())
    assert torch.equal(low.double(), high)


def test_batch_noise_refuses_mismatches():
    with pytest.raises(ValueError, match="at least one key"):
        BatchNoise([])
    with pytest.raises(ValueError, match="2 lengths"):
        BatchNoise([NoiseKey(0)], [1, 2])
    with pytest.raises(ValueError, match="1 keys for a batch of 2"):
        BatchNoise([NoiseKey(0)]).draw(0, 0, torch.empty(2, 3))
