"""The program: commands, exit codes, and the one line a mistake costs.

0 success, 1 a fault of ours (with a traceback), 2 something the user can mend (one line), 130
interrupted.
"""

import sys
import traceback
from collections.abc import Callable, Sequence

import typer

from proteinweaver.cli.align import align
from proteinweaver.cli.assemble import assemble
from proteinweaver.cli.check import check
from proteinweaver.cli.data import data
from proteinweaver.cli.design import design
from proteinweaver.cli.diversify import diversify
from proteinweaver.cli.evaluate import evaluate
from proteinweaver.cli.fold import fold
from proteinweaver.cli.generate import generate
from proteinweaver.cli.info import info
from proteinweaver.cli.prefs import prefs
from proteinweaver.cli.process import prepare_process
from proteinweaver.cli.sequence import sequence
from proteinweaver.cli.split import split
from proteinweaver.cli.study import study
from proteinweaver.cli.train import train
from proteinweaver.errors import UserError

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="proteinweaver",
    help="Divide-and-assemble design of large multi-domain protein backbones.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_INTERRUPTED = "interrupted; what is finished is kept, the same command goes on"
_COMMANDS: tuple[Callable[..., None], ...] = (
    design,
    generate,
    assemble,
    diversify,
    split,
    check,
    sequence,
    fold,
    train,
    evaluate,
    prefs,
    align,
    study,
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(data, name="data")
app.command()(info)


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Parameters
    ----------
    arguments : sequence of str
        Words after the program's name.

    Returns
    -------
    int
        Exit code.
    """
    try:
        command = typer.main.get_command(app)
        result = command.main(
            args=list(arguments), prog_name="proteinweaver", standalone_mode=False
        )
    except UserError as error:
        return _complain(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _complain(_INTERRUPTED, 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help is the message
            print(error, file=sys.stderr)
            return 2
        if hasattr(error, "format_message"):  # a flag that does not parse
            return _complain(f"{error.format_message()} See 'proteinweaver --help'.", 2)
        if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
            return _complain("out of memory; lower --batch-size or --length", 2)
        traceback.print_exc()
        return _complain(f"this is a fault of proteinweaver, not yours: {error!r}", 1)
    # Without its standalone mode Typer returns the code of an Exit, and 130 for Ctrl-C.
    if result == 130:
        return _complain(_INTERRUPTED, 130)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Run the command line of this process and exit."""
    prepare_process()
    sys.exit(run(sys.argv[1:]))


def _complain(text: str, code: int) -> int:
    print(f"proteinweaver: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return code
