"""Shows a release while it runs: in a live view, in plain lines, or in one line on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from imagegate.release.release import Release
from imagegate_cli.context import now
from imagegate_cli.output.terminal import say
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.releases.steps import ExecutionHistory, StepState, steps_of

if TYPE_CHECKING:
    from rich.console import Console

# Shorter waits are silent.
_SILENT_SECONDS = 2.0


class Progress(Protocol):
    """A view of a release, which is renewed after every look."""

    def show(self, release: Release | None) -> None:
        """Show the release, or with None that it has not begun."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class OneLine:
    """One line on stderr if it takes long; on a terminal with a spinner."""

    def __init__(self, console: Console, reference: RepositoryReference) -> None:
        from imagegate_cli.output.screen import Text

        self._console = console
        self._reference = reference
        self._since = time.monotonic()
        self._is_shown = False
        self._status = console.status(Text(f"{reference}: waiting for its release"))

    def show(self, release: Release | None) -> None:
        from imagegate_cli.output.screen import Text

        if self._console.is_terminal:
            self._status.update(Text(f"{self._reference}: {_current_step(release)}"))
        if self._is_shown or time.monotonic() - self._since < _SILENT_SECONDS:
            return
        self._is_shown = True
        if self._console.is_terminal:
            self._status.start()
        else:
            self._console.print(f"waiting for {self._reference} …", soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._status.stop()


class Lines:
    """A line for each step that begins or ends, for logs and pipes."""

    def __init__(self, history: ExecutionHistory, *, stderr: bool) -> None:
        self._history = history
        self._stderr = stderr
        self._printed: set[str] = set()
        self._is_timed = False

    def show(self, release: Release | None) -> None:
        if release is None:
            self._is_timed = True
            return self._say("waiting for the release to begin")
        # The steps of a release that ended before the first look have unknown times.
        self._is_timed = self._is_timed or release.is_open
        for step in steps_of(release, self._history.entered(release)):
            if step.state is StepState.RUNNING:
                self._say(f"{step.name} …")
            elif step.state in (StepState.DONE, StepState.FAILED):
                self._say(f"{step.name}: {step.result or step.state}")
        return None

    def _say(self, text: str) -> None:
        if text not in self._printed:
            self._printed.add(text)
            say(f"{now():%H:%M:%S} {text}" if self._is_timed else text, err=self._stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None: ...


class LiveSteps:
    """The list of all steps, which is redrawn as they go."""

    def __init__(self, console: Console, history: ExecutionHistory, reference: RepositoryReference) -> None:
        from rich.live import Live

        self._console = console
        self._history = history
        self._reference = reference
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def show(self, release: Release | None) -> None:
        from rich.console import Group

        from imagegate_cli.output import screen
        from imagegate_cli.output.screen import Text
        from imagegate_cli.releases import view

        if release is None:
            return self._live.update(Text(f"{self._reference}: waiting for its release", style="dim"))
        title = f"{self._reference} at the {release.stage} gate, attempt {release.attempt}"
        steps = steps_of(release, self._history.entered(release))
        pretty = screen.speaks_unicode(self._console)
        return self._live.update(
            Group(Text(title, style="bold"), view.steps_table(steps, unicode=pretty, animated=True), Text())
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()


def choose(
    history: ExecutionHistory, reference: RepositoryReference, *, watch: bool, as_json: bool
) -> Progress:
    """Return the view for these options. With --json it goes to stderr."""
    from imagegate_cli.output import screen

    if not watch:
        return OneLine(screen.console(stderr=True), reference)
    console = screen.console(stderr=as_json)
    return LiveSteps(console, history, reference) if console.is_terminal else Lines(history, stderr=as_json)


def _current_step(release: Release | None) -> str:
    if release is None:
        return "waiting for its release to begin"
    running = [step.name for step in steps_of(release) if step.state is StepState.RUNNING]
    return f"{running[0]} …" if running else str(release.outcome)
