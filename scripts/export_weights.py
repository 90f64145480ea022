"""Turn a training checkpoint into weights that ship with the package.

    python scripts/export_weights.py CKPT domain
    python scripts/export_weights.py CKPT assembler [--folder DIR] [--half] [--data DIR]

Takes the moving average; records steps, residues, minutes, data hashes, command, last losses and
the sampling settings that the commands use by default in the JSON beside it.
"""

import argparse
import sys
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.generation.settings import default_sampling
from proteinweaver.io.installation import weights_folder
from proteinweaver.training.export import export_weights


def main() -> int:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("checkpoint", help="last.ckpt of a run")
    p.add_argument("name", help="layout, domain or assembler")
    p.add_argument("--folder", default=str(weights_folder()), help="default: inside the package")
    p.add_argument("--half", action="store_true", help="store float16")
    p.add_argument("--stage", default="", help="where the checkpoint does not tell; default: NAME")
    p.add_argument(
        "--command", default="", help="how it was trained, where the checkpoint does not tell"
    )
    p.add_argument(
        "--data",
        default="",
        help="folder of the training sets, where the checkpoint does not tell",
    )
    a = p.parse_args()
    try:
        sha256 = export_weights(
            a.checkpoint,
            a.name,
            a.folder,
            half=a.half,
            stage=a.stage,
            command=a.command,
            data=a.data,
            sampling=default_sampling,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    file = Path(a.folder) / f"{a.name}.safetensors"
    print(f"{file}  {file.stat().st_size / 2**20:.2f} MiB  sha256 {sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
