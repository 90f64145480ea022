"""Sequences by ProteinMPNN, from the checkpoints its authors publish.

A checkpoint (``vanilla_model_weights/v_48_020.pt``; also of the soluble and the CA-only kind) is a
dictionary of ``num_edges``, ``noise_level`` and ``model_state_dict``; it is read without running
any code in it. Which residues are missing is told by the author's numbering, as the public reader
of PDB files does: a jump counts in the separation along the chain.

References
----------
Dauparas et al. 2022, Science 378, 49; github.com/dauparas/ProteinMPNN (MIT).
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.sequence import DesignedSequence, Draw, draw_orders
from proteinweaver.nets.critic import AMINO_ACIDS
from proteinweaver.nets.protein_mpnn import UNUSED, Encoded, ProteinMPNN
from proteinweaver.structure.backbone import Backbone

__all__ = [
    "TrainedProteinMPNN",
    "design_with_protein_mpnn",
    "encode_backbone",
    "load_protein_mpnn",
]

_AT_ONCE = 20_000  # residues of all sequences that are decoded side by side
_MEND = "give a checkpoint of github.com/dauparas/ProteinMPNN such as v_48_020.pt"


@dataclass(frozen=True)
class TrainedProteinMPNN:
    """A checkpoint, read.

    Parameters
    ----------
    net : ProteinMPNN
        On the CPU, not training.
    noise_level : float
        Noise of the backbones it was trained on, in angstrom.
    """

    net: ProteinMPNN
    noise_level: float


def load_protein_mpnn(path: str | Path) -> TrainedProteinMPNN:
    """Read a checkpoint.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    TrainedProteinMPNN

    Raises
    ------
    UserError
        If there is no such file or it is no checkpoint of ProteinMPNN.
    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "no such weights"
        raise UserError(f"{file}: {what}; {_MEND}")
    try:
        raw = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise UserError(f"{file}: not a checkpoint of PyTorch; {_MEND}") from None
    try:
        state = dict(raw["model_state_dict"])
        neighbours, noise = int(raw["num_edges"]), float(raw["noise_level"])
        width = len(state["W_e.weight"])
        layers = sum(name.endswith(".W13.weight") for name in state)
    except (KeyError, TypeError, ValueError, IndexError):
        raise UserError(
            f"{file}: lacks num_edges, noise_level or model_state_dict of ProteinMPNN; {_MEND}"
        ) from None
    ca_only = "features.node_embedding.weight" in state
    net = ProteinMPNN(max(neighbours, 1), ca_only, width, layers)
    used = {k: v for k, v in state.items() if not (ca_only and k.startswith(UNUSED))}
    try:
        net.load_state_dict(used)
    except RuntimeError as error:
        why = str(error).splitlines()[1:2] or [""]
        raise UserError(
            f"{file}: not the network of ProteinMPNN ({why[0].strip()}); {_MEND}"
        ) from None
    return TrainedProteinMPNN(net.eval().requires_grad_(False), noise)


def encode_backbone(backbone: Backbone, model: TrainedProteinMPNN) -> Encoded:
    """Run the encoder on a backbone.

    Parameters
    ----------
    backbone : Backbone
        With all four atoms; of CA alone for a CA-only checkpoint.
    model : TrainedProteinMPNN

    Returns
    -------
    Encoded

    Raises
    ------
    UserError
        If atoms are missing that the checkpoint needs.
    """
    needed = backbone.ca if model.net.ca_only else backbone.coord
    if not np.isfinite(needed).all():
        raise UserError(
            f"{backbone.name or 'backbone'}: atoms are missing; give N, CA, C and O of every"
            " residue, or a checkpoint of ca_model_weights"
        )
    index, chain = _places(backbone)
    with torch.inference_mode():
        return model.net.encode(
            torch.from_numpy(np.array(backbone.coord)),
            torch.from_numpy(index),
            torch.from_numpy(chain),
        )


def _places(backbone: Backbone) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place of every residue along its chain, missing ones counted, and number of its chain."""
    number = np.asarray(backbone.resnum, dtype=np.int64)
    chain = np.unique(backbone.chain, return_inverse=True)[1].astype(np.int64)
    # two residues of one number differ in their insertion code, and follow each other
    step = np.maximum(np.diff(number, prepend=number[:1] - 1), 1)
    step[1:][chain[1:] != chain[:-1]] = 1
    return np.cumsum(step), chain


def design_with_protein_mpnn(
    backbone: Backbone,
    model: TrainedProteinMPNN,
    n: int = 8,
    *,
    temperature: float = 0.1,
    fixed: ArrayLike | None = None,
    omit: Iterable[str] = "",
    seed: int = 0,
) -> list[DesignedSequence]:
    """Design sequences by ProteinMPNN.

    Parameters
    ----------
    backbone : Backbone
        As for `encode_backbone`.
    model : TrainedProteinMPNN
    n, temperature, fixed, omit, seed
        As those of `proteinweaver.evaluation.sequence.design_sequences`. ``X``, which the network
        knows, is never designed.

    Returns
    -------
    list of DesignedSequence
        Their ``nats`` are the score that ProteinMPNN prints.

    Raises
    ------
    ValueError
        If a number is out of range, a code is unknown, or nothing is left to choose from.
    UserError
        If atoms are missing that the checkpoint needs.
    """
    draw = draw_orders(backbone, n, temperature, fixed, omit, seed)
    encoded = encode_backbone(backbone, model)
    some = max(1, _AT_ONCE // len(backbone))
    parts = [_decode(model.net, encoded, draw, slice(k, k + some)) for k in range(0, n, some)]
    amino, total = (np.concatenate(column) for column in zip(*parts, strict=True))
    return draw.sequences(amino, total)


def _decode(
    net: ProteinMPNN, encoded: Encoded, draw: Draw, rows: slice
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Amino acids of some sequences, shape=(m, L), and summed nats of their free residues."""
    orders = torch.from_numpy(draw.orders[rows])
    luck = torch.from_numpy(draw.luck[rows]).float()
    closed, fixed = torch.from_numpy(draw.closed), torch.from_numpy(draw.keep)
    count, length = orders.shape
    sample = torch.arange(count)
    amino = torch.from_numpy(draw.native).expand(count, length).clone()
    total = torch.zeros(count, dtype=torch.float64)
    with torch.inference_mode():
        decoding = net.decoding(encoded, count)
        for places in orders.T.contiguous():
            logits = decoding.logits(places)
            known = logits[:, :AMINO_ACIDS] / draw.temperature + closed
            drawn = (known + luck[sample, places]).argmax(-1)
            chosen = torch.where(fixed[places], amino[sample, places], drawn)
            nats = -torch.log_softmax(logits, -1)[sample, chosen].double()
            total += nats.masked_fill(fixed[places], 0.0)
            amino[sample, places] = chosen
            decoding.tell(places, chosen)
    return amino.numpy(), total.numpy()
