"""Train the two-dimensional score network that ships inside ``samplers.targets``.

    python scripts/train_toy_score.py [--steps 6000] [--out samplers/targets/toy_score.npz]

Data: fresh draws of ``samplers.targets.benchmark.mixture(2)``; noise levels log-uniform from 0.005
to 200; the preconditioned regression of ``samplers.targets.learned``, every level with unit
weight; Adam with cosine decay, average of the weights over the last third. Takes less than two
minutes on a busy core; seed 0 reproduces the shipped file up to the platform's rounding. Prints
the error of the score against the exact one at several levels.
"""

import argparse
import itertools
import math
import time

import numpy as np
import torch

from samplers.targets import benchmark, learned
from samplers.targets.base import noised

WIDTH = 64
BATCH = 512
LOW, HIGH = 0.005, 200.0


def network(generator):
    sizes = (2 + 8, WIDTH, WIDTH, WIDTH, 2)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        weight = torch.randn(fan_out, fan_in, generator=generator) / math.sqrt(fan_in)
        layers.append((weight.requires_grad_(), torch.zeros(fan_out, requires_grad=True)))
    return layers


def forward(layers, y, log_rho):
    h = torch.cat((y, learned.features(log_rho)), -1)
    for weight, bias in layers[:-1]:
        h = torch.nn.functional.silu(h @ weight.mT + bias)
    weight, bias = layers[-1]
    return h @ weight.mT + bias


def train(steps, seed):
    generator = torch.Generator().manual_seed(seed)
    target = benchmark.mixture(2)
    layers = network(generator)
    parameters = [p for layer in layers for p in layer]
    optimiser = torch.optim.Adam(parameters, lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    mean = [torch.zeros_like(p) for p in parameters]
    kept = 0
    for step in range(steps):
        clean = target.sample(BATCH, generator).float()
        u = torch.rand(BATCH, generator=generator)
        log_rho = math.log(LOW) + u * math.log(HIGH / LOW)
        rho = log_rho.exp().unsqueeze(-1)
        z = clean + rho * torch.randn(BATCH, 2, generator=generator)
        root = (1 + rho.square()).sqrt()
        wanted = (clean - z / root.square()) * root / rho
        loss = (forward(layers, z / root, log_rho) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= 2 * steps // 3:
            kept += 1
            for m, p in zip(mean, parameters, strict=True):
                m += (p.detach() - m) / kept
    return mean


def report(score):
    target = benchmark.mixture(2)
    print("   rho   E|s|^2 sigma^2   error^2 sigma^2")
    for rho in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 30.0):
        root = math.sqrt(1 + rho * rho)
        level = 1 / root, rho / root
        x = noised(target, 4000, *level, torch.Generator().manual_seed(1))
        truth = target.score(x, *level)
        gap = (score.score(x, *level) - truth).square().sum(-1).mean() * level[1] ** 2
        size = truth.square().sum(-1).mean() * level[1] ** 2
        print(f"{rho:6.2f} {size:16.4f} {gap:17.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(learned.WEIGHTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    parameters = train(args.steps, args.seed)
    names = [f"{kind}{i}" for i in range(len(parameters) // 2) for kind in "wb"]
    np.savez_compressed(args.out, **{n: p.numpy() for n, p in zip(names, parameters, strict=True)})
    print(f"trained in {time.perf_counter() - begin:.0f} s, written to {args.out}")
    report(learned.load(args.out))


if __name__ == "__main__":
    main()
