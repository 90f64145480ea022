"""The common interface of spaces, on each factor and on the product."""

import pytest
import torch

from samplers import so3
from samplers.spaces import SO3, Euclidean, Product


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POINTS = {
    "euclidean": (Euclidean(), normal(6, 3), normal(6, 3, seed=1)),
    "rotation": (SO3(), so3.haar(normal(6, 4)), so3.haar(normal(6, 4, seed=1))),
}
each = pytest.mark.parametrize("name", sorted(POINTS))


@each
def test_exp_undoes_log_and_gives_the_distance(name):
    space, x, y = POINTS[name]
    u = space.log(x, y)
    assert u.shape == space.tangent_shape(x)
    torch.testing.assert_close(space.exp(x, u), y, rtol=0, atol=1e-13)
    torch.testing.assert_close(space.distance(x, y), u.norm(dim=-1), rtol=0, atol=1e-13)


@each
def test_transport_keeps_length_and_the_geodesic(name):
    """Isometry; the velocity of a geodesic is its own transport; forth and back is nothing."""
    space, x, y = POINTS[name]
    u, w = space.log(x, y), normal(6, 3, seed=2)
    moved = space.transport(x, u, w)
    torch.testing.assert_close(moved.norm(dim=-1), w.norm(dim=-1))
    torch.testing.assert_close(space.transport(x, u, u), u)
    torch.testing.assert_close(space.transport(y, space.log(y, x), moved), w)


def test_transport_on_rotations_by_schild_ladder():
    """Levi-Civita transport in many short steps of 'body components turned by -u/2'."""
    space, x, y = POINTS["rotation"]
    w = normal(6, 3, seed=2)
    u = space.log(x, y)
    # In body components parallel transport solves dw/dt = -u x w / 2.
    slow, n = w, 2000
    for _ in range(n):
        middle = slow - torch.linalg.cross(u, slow) / (4 * n)
        slow = slow - torch.linalg.cross(u, middle) / (2 * n)
    torch.testing.assert_close(space.transport(x, u, w), slow, rtol=0, atol=1e-6)


@each
def test_an_entry_is_the_velocity_in_the_chart(name):
    """Exp(u + e entry(u, w)) leaves exp(x, u) with velocity w."""
    space, x, _ = POINTS[name]
    u, w = normal(6, 3, seed=3), normal(6, 3, seed=4)
    e = 1e-6
    y = space.exp(x, u)
    z = space.exp(x, u + e * space.entry(u, w, 0.0))
    torch.testing.assert_close(space.log(y, z) / e, w, rtol=0, atol=1e-5)


@each
def test_charts_blend_and_remember(name):
    """Reach is a x + sum w e (the base at 0 on SO(3)); a record gives its entry in any chart."""
    space, x, y = POINTS[name]
    u, w = normal(6, 3, seed=3), normal(6, 3, seed=4)
    coordinate, point = space.reach(x, 0.3, (0.2, -0.5), (u, w))
    flat = 0.2 * u - 0.5 * w
    if name == "euclidean":
        torch.testing.assert_close(point, 0.3 * x + flat)
        assert coordinate is point
    else:
        torch.testing.assert_close(coordinate, flat)
        torch.testing.assert_close(point, x @ so3.exp(flat))
    torch.testing.assert_close(space.coordinate(x, point), coordinate)
    for base in (x, y):
        records = (space.record(x, u, 0.7), space.record(y, w, 0.2))
        entries = space.recall(base, records, (0.7, 0.2))
        for entry, to, value, shift in zip(entries, (x, y), (u, w), (0.7, 0.2), strict=True):
            at = space.coordinate(base, to)
            torch.testing.assert_close(entry, space.entry(at, value, 0.0) + shift * at)


def test_product_is_the_factors():
    (a, xa, ya), (b, xb, yb) = POINTS["euclidean"], POINTS["rotation"]
    product, x, y = Product((a, b)), (xa, xb), (ya, yb)
    u, w = product.log(x, y), (normal(6, 3, seed=5), normal(6, 3, seed=6))
    assert product.tangent_shape(x) == ((6, 3), (6, 3))
    for got, expected in (
        (u, (a.log(xa, ya), b.log(xb, yb))),
        (product.exp(x, u), (a.exp(xa, u[0]), b.exp(xb, u[1]))),
        (product.distance(x, y), (a.distance(xa, ya), b.distance(xb, yb))),
        (product.transport(x, u, w), (w[0], b.transport(xb, u[1], w[1]))),
        (product.tangent_noise(x, w), w),
    ):
        for g, e in zip(got, expected, strict=True):
            assert torch.equal(g, e)


def test_float32_products_stay_rotations():
    """Two thousand random steps leave no drift from orthogonality."""
    space, rot = SO3(), so3.haar(normal(4, 4)).float()
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):
        rot = space.exp(rot, 0.3 * torch.randn(4, 3, generator=generator))
    assert (rot.mT @ rot - torch.eye(3)).abs().max() < 1e-6
