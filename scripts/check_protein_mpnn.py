"""Compare our ProteinMPNN with the public program, file by file: reader, features and network.

    git clone --depth 1 https://github.com/dauparas/ProteinMPNN
    python scripts/check_protein_mpnn.py ProteinMPNN FILE.pdb... [--checkpoint v_48_020.pt]

The public module reads a PDB file and gives log-probabilities of all residues in a random order
of decoding; so do we. Without a checkpoint both get the same random parameters, of the full and of
the CA-only kind, through a file in the public format. Files whose residues the two readers count
differently (hetero atoms, residues without all four atoms) are told and passed over.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from proteinweaver.evaluation.protein_mpnn import encode_backbone, load_protein_mpnn
from proteinweaver.io.read import read_structure
from proteinweaver.structure.backbone import Backbone

_AWAY = 300.0  # angstrom from the origin, where the public program puts missing atoms


def public_network(module: Any, raw: dict[str, Any], ca_only: bool) -> torch.nn.Module:
    net = module.ProteinMPNN(
        num_letters=21, node_features=128, edge_features=128, hidden_dim=128,
        num_encoder_layers=3, num_decoder_layers=3, augment_eps=0.0,
        k_neighbors=raw["num_edges"], ca_only=ca_only,
    )  # fmt: skip
    if "model_state_dict" in raw:
        net.load_state_dict(raw["model_state_dict"])
    else:
        for parameter in net.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    return net.eval()


def compare(module: Any, net: torch.nn.Module, ours: Any, file: Path) -> dict[str, object]:
    """Largest difference of log-probabilities over the residues that have coordinates."""
    ca_only = ours.net.ca_only
    told = module.tied_featurize(
        module.parse_PDB(str(file), ca_only=ca_only), "cpu", None, ca_only=ca_only
    )
    x, letters, mask, chain, index = (told[k] for k in (0, 1, 2, 5, 12))
    backbone = read_structure(file, allow_ca_only=ca_only).backbone
    # the public program takes chains by the alphabet, upper case first
    rows = np.concatenate(
        [np.flatnonzero(backbone.chain == c) for c in sorted(set(backbone.chain))]
    )
    there = mask[0] > 0
    row: dict[str, object] = {"file": file.name, "kind": "ca" if ca_only else "full"}
    row |= {"residues": int(there.sum()), "gaps": int((~there).sum())}
    if len(backbone) != there.sum():
        return row | {"skipped": f"we read {len(backbone)} residues"}
    x = torch.where(there[None, :, *[None] * (x.ndim - 2)], x + _AWAY, x)
    order = torch.randperm(mask.shape[1])[None]
    with torch.no_grad():
        theirs = net(
            x, letters, mask, mask, index, chain, torch.zeros_like(mask),
            use_input_decoding_order=True, decoding_order=order,
        )[0, there]  # fmt: skip
        sorted_rows = Backbone.from_coord(
            backbone.coord[rows], resnum=backbone.resnum[rows], icode=backbone.icode[rows],
            chain=backbone.chain[rows],
        )  # fmt: skip
        encoded = encode_backbone(sorted_rows, ours)
        logits = ours.net.logits(encoded, letters[0, there], order[0].argsort()[there])
    mine = torch.log_softmax(logits, -1)
    return row | {
        "largest_difference": float((mine - theirs).abs().max()),
        "spread": round(float(theirs.std()), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("public", type=Path, help="clone of github.com/dauparas/ProteinMPNN")
    parser.add_argument("files", type=Path, nargs="+", help="PDB files")
    parser.add_argument("--checkpoint", type=Path, help="real parameters instead of random ones")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.path.insert(0, str(options.public.resolve()))
    module = importlib.import_module("protein_mpnn_utils")
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        for ca_only in (False, True):
            file = options.checkpoint
            raw = torch.load(file, weights_only=True) if file else {"num_edges": 48}
            if file and ("W_v.weight" in raw["model_state_dict"]) != ca_only:
                continue
            net = public_network(module, raw, ca_only)
            if file is None:
                file = Path(folder) / "random.pt"
                torch.save(raw | {"noise_level": 0.2, "model_state_dict": net.state_dict()}, file)
            ours = load_protein_mpnn(file)
            for pdb in options.files:
                print(json.dumps(compare(module, net, ours, pdb)), flush=True)


if __name__ == "__main__":
    main()
