"""Train the critic: the trunk with its sequence head, then a copy with the soundness head.

    python scripts/train_critic.py -o SEQ head=sequence data.folder=DIR trainer.max_minutes=60
    python scripts/build_negatives.py --data DIR -o NEG
    python scripts/train_critic.py -o SOUND head=soundness init=SEQ/last.ckpt data.folder=DIR \
        data.negatives=NEG trainer.max_minutes=20
    python scripts/export_critic.py SOUND/last.ckpt --sequence SEQ/last.ckpt --data DIR \
        --negatives NEG

KEY=VALUE sets any key of `proteinweaver.training.critic_config.CriticTrainConfig`. The same
command goes on where it stopped; SIGTERM and Ctrl-C save first.
"""

import argparse
import json
import sys

from proteinweaver.cli.config import compose
from proteinweaver.errors import UserError
from proteinweaver.training.critic_config import CriticTrainConfig
from proteinweaver.training.critic_run import train_critic


def show(row: dict[str, float]) -> None:
    print(json.dumps({key: round(value, 4) for key, value in row.items()}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    try:
        config = compose("critic", CriticTrainConfig, options.overrides, {"out": options.out})
        result = train_critic(config, show)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    state = "finished" if result.finished else "stopped, the same command goes on"
    print(f"{result.checkpoint}: step {result.step}, {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
