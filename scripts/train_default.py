"""Train or continue the shipped weights: the one recipe, on CPU or GPU.

    python scripts/train_default.py --stage base --data DIR --out CKPT_DIR --budget 30 [--resume CKPT]
"""

import argparse
import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from proteinweaver.data.batches import BatchSource, Mixture
from proteinweaver.data.store import StructureStore
from proteinweaver.diffusion import objective
from proteinweaver.nets import denoiser
from proteinweaver.diffusion.objective import LossWeights, denoising_losses, total_loss
from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig

MIXTURES = {
    "base": (
        Mixture("domains", {"none": 0.15, "elements": 0.55, "segments": 0.3}, share=0.75, max_length=144),
        Mixture("chains", {"domains": 0.6, "segments": 0.2, "elements": 0.2}, share=0.25, min_length=100, max_length=320),
    ),
    "domain": (
        Mixture("domains", {"none": 0.15, "elements": 0.85}, max_length=200),
    ),
    "assembler": (
        Mixture("chains", {"domains": 0.85, "segments": 0.15}, share=0.7, min_length=100, max_length=400),
        Mixture("domains", {"segments": 0.8, "elements": 0.2}, share=0.3, min_length=80, max_length=256),
    ),
}


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--stage", default="base")
    p.add_argument("--data", default="../shared/data")
    p.add_argument("--out", required=True)
    p.add_argument("--budget", type=float, default=10.0, help="minutes")
    p.add_argument("--resume")
    p.add_argument("--init")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--cooldown", type=float, default=0.2, help="share of the budget in which the rate falls to zero")
    p.add_argument("--residues", type=int, default=2000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int)
    p.add_argument("--blocks", type=int, default=6)
    p.add_argument("--compile", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    stores = {n: StructureStore(Path(a.data) / f"{n}.npz") for n in ("domains", "chains")}
    train = BatchSource(stores, MIXTURES[a.stage], "train", a.residues, a.seed)
    valid = BatchSource(stores, MIXTURES[a.stage], "valid", a.residues, 1)
    torch.manual_seed(a.seed)
    net = Denoiser(DenoiserConfig(blocks=a.blocks)).to(a.device)
    if a.compile:
        for block in net.blocks:
            block.compile(dynamic=True)
        denoiser.edge_geometry = torch.compile(denoiser.edge_geometry, dynamic=True)
        denoiser.frame_difference = torch.compile(denoiser.frame_difference, dynamic=True)
        objective.local_distance_loss = torch.compile(objective.local_distance_loss, dynamic=True)
    process = FrameProcess(ProcessConfig())
    ema = {k: v.detach().clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0.01)
    step, residues, minutes = 0, 0, 0.0
    if a.init:
        net.load_state_dict(torch.load(a.init, weights_only=True)["ema"])
        ema = {k: v.detach().clone() for k, v in net.state_dict().items()}
    if a.resume and Path(a.resume).is_file():
        c = torch.load(a.resume, weights_only=True)
        net.load_state_dict(c["net"])
        optimizer.load_state_dict(c["optimizer"])
        ema, step, residues, minutes = c["ema"], c["step"], c["residues"], c["minutes"]
    print(sum(q.numel() for q in net.parameters()), "parameters", flush=True)
    weights = LossWeights()
    start_minutes, start = minutes, time.time()
    log = (out / "log.jsonl").open("a")
    sums: dict[str, float] = {}
    count = 0

    def draw_t(batch: int, generator: torch.Generator) -> Tensor:
        u = (torch.rand(1, generator=generator) + torch.arange(batch) / batch) % 1.0
        return process.config.t_min + (1 - process.config.t_min) * u**1.3

    @torch.no_grad()
    def validate(n: int = 6) -> dict[str, float]:
        raw = {k: v.detach().clone() for k, v in net.state_dict().items()}
        net.load_state_dict(ema)
        net.eval()
        total: dict[str, float] = {}
        for i in range(n):
            batch = valid.batch(i)
            g = torch.Generator(device=a.device).manual_seed(1000 + i)
            t = draw_t(len(batch.coord), torch.Generator().manual_seed(2000 + i)).to(a.device)
            losses = denoising_losses(net, process, batch.coord.to(a.device), batch.condition.to(a.device), t, g, weights, True)
            for k, v in losses.items():
                total[k] = total.get(k, 0.0) + float(v.mean()) / n
        net.load_state_dict(raw)
        net.train()
        return total

    def save() -> None:
        tmp = out / "last.tmp"
        torch.save({"net": net.state_dict(), "ema": ema, "optimizer": optimizer.state_dict(), "step": step, "residues": residues, "minutes": minutes, "config": asdict(net.config), "process": asdict(process.config)}, tmp)
        os.replace(tmp, out / "last.ckpt")

    last_save = time.time()
    last_log = time.time()
    for batch in train.from_step(step):
        minutes = start_minutes + (time.time() - start) / 60
        used = (minutes - start_minutes) / a.budget
        if used >= 1 or (a.steps and step >= a.steps):
            break
        rate = a.lr * min(1.0, (step + 1) / 200) * min(1.0, max(0.01, (1 - used) / a.cooldown))
        for group in optimizer.param_groups:
            group["lr"] = rate
        g = torch.Generator(device=a.device).manual_seed(a.seed * 1_000_003 + step)
        cpu = torch.Generator().manual_seed(a.seed * 1_000_003 + step)
        t = draw_t(len(batch.coord), cpu).to(a.device)
        self_condition = bool(torch.rand(1, generator=cpu) < 0.5)
        condition = batch.condition.to(a.device)
        losses = denoising_losses(net, process, batch.coord.to(a.device), condition, t, g, weights, self_condition)
        loss = total_loss(losses, condition.mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        if torch.isfinite(norm):
            optimizer.step()
        decay = min(0.999, (1 + step) / (10 + step))
        with torch.no_grad():
            for k, v in net.state_dict().items():
                ema[k].lerp_(v, 1 - decay)
        step += 1
        residues += int(condition.mask.sum())
        for k, v in losses.items():
            sums[k] = sums.get(k, 0.0) + float(v.mean().detach())
        sums["norm"] = sums.get("norm", 0.0) + float(norm)
        count += 1
        if step % 50 == 0:
            row = {"step": step, "minutes": round(minutes, 2), "residues": residues, "s_step": round((time.time() - last_log) / 50, 3), **{k: round(v / count, 4) for k, v in sums.items()}}
            last_log = time.time()
            if step % 400 == 0:
                row["valid"] = {k: round(v, 4) for k, v in validate().items()}
            sums, count = {}, 0
            print(json.dumps(row), flush=True)
            log.write(json.dumps(row) + "\n")
            log.flush()
        if time.time() - last_save > 120:
            save()
            last_save = time.time()
    save()
    print("valid", validate(12))


if __name__ == "__main__":
    main()
