"""What a person sees of a run: a bar on a terminal, log lines elsewhere."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from proteinweaver.generation.run import RunEvent

__all__ = ["Cases", "Counter", "Reporter"]


class _Bar:
    """A progress bar where standard error is a terminal, and nothing elsewhere.

    Parameters
    ----------
    label : str
        What is counted.
    quiet : bool
        Never a bar.
    """

    def __init__(self, label: str, quiet: bool) -> None:
        self.quiet = quiet
        console = Console(stderr=True, highlight=False)
        self.bar: Progress | None = None
        if console.is_terminal and not quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self.bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
            self.task = self.bar.add_task(label, total=None)

    def __enter__(self) -> Self:
        if self.bar is not None:
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

    def move(self, done: int, total: int, label: str) -> None:
        """Show how far the work is."""
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total, description=label)

    def say(self, text: str) -> None:
        """Write one line, above the bar where there is one."""
        if self.bar is not None:
            self.bar.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


class Reporter(_Bar):
    """Show a generating run; the callback of the generating functions, and a context manager.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        super().__init__("designs", quiet)

    def __call__(self, event: "RunEvent") -> None:
        """Show one event."""
        self.move(event.done, event.total, event.stage or "designs")
        if event.text and not self.quiet:
            self.say(event.text)


class Counter(_Bar):
    """Show work on many things; called with the numbers done, of all, and failed.

    Parameters
    ----------
    label : str
        What is counted, in the plural.
    quiet : bool
        Show nothing.
    """

    def __init__(self, label: str, quiet: bool) -> None:
        super().__init__(label, quiet)
        self.label = label

    def __call__(self, done: int, total: int, failed: int) -> None:
        """Show one step: every one on a bar, every tenth part of the work elsewhere."""
        self.move(done, total, f"{self.label} ({failed} failed)" if failed else self.label)
        if self.bar is None and not self.quiet and done * 10 // total > (done - 1) * 10 // total:
            self.say(f"{done} of {total} {self.label}, {failed} failed")


class Cases(_Bar):
    """Show the cases of a study; called with the numbers done and of all, and a line."""

    def __call__(self, done: int, total: int, line: str) -> None:
        """Show one step."""
        self.move(done, total, "cases")
        if line and not self.quiet:
            self.say(line)
