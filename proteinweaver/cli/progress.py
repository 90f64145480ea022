"""What a person sees of a run: a bar on a terminal, one log line per design elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from proteinweaver.generation.run import RunEvent

__all__ = ["Reporter"]


class Reporter:
    """Draw the events of a run; a context manager and the callback of the generating functions.

    Parameters
    ----------
    quiet : bool
        Show nothing but what :meth:`say` is given at the end.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False)
        self.bar: Progress | None = None
        self.task: Any = None
        self.start = time.monotonic()

    def __enter__(self) -> "Reporter":
        if not self.quiet and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, event: "RunEvent") -> None:
        """Show one event."""
        if self.quiet:
            return
        if self.bar is not None:
            if self.task is None:
                self.task = self.bar.add_task("designs", total=event.total)
            label = event.stage or "designs"
            self.bar.update(self.task, completed=event.done, total=event.total, description=label)
        if event.text:
            self.say(event.text)

    def say(self, text: str) -> None:
        """Write one line, above the bar where there is one."""
        if self.bar is not None:
            self.bar.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)
