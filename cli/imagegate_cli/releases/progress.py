"""What is shown while a release runs: a live view, plain lines, or one line on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from imagegate.release.release import Release
from imagegate_cli.context import now
from imagegate_cli.output.terminal import say
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.releases.history import ExecutionHistory
from imagegate_cli.releases.steps import StepState, steps_of

if TYPE_CHECKING:
    from rich.console import Console

# Shorter waits pass without a word.
_PATIENCE_SECONDS = 2.0


class Progress(Protocol):
    """Shown again after every look; None: the release has not begun."""

    def show(self, release: Release | None) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Quiet:
    """One line on stderr when it takes long: a spinner on a terminal."""

    def __init__(self, console: Console, what: RepositoryReference) -> None:
        self._console = console
        self._what = what
        self._since = time.monotonic()
        self._is_told = False
        from imagegate_cli.output.screen import Text

        self._status = console.status(Text(f"{what}: waiting for its release"))

    def show(self, release: Release | None) -> None:
        from imagegate_cli.output.screen import Text

        if self._console.is_terminal:
            self._status.update(Text(f"{self._what}: {_doing(release)}"))
        if self._is_told or time.monotonic() - self._since < _PATIENCE_SECONDS:
            return
        self._is_told = True
        if self._console.is_terminal:
            self._status.start()
        else:
            self._console.print(f"waiting for {self._what} …", soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._status.stop()


class Lines:
    """A line for each step that begins or ends: for logs and pipes."""

    def __init__(self, history: ExecutionHistory, *, stderr: bool) -> None:
        self._history = history
        self._stderr = stderr
        self._said: set[str] = set()

    def show(self, release: Release | None) -> None:
        if release is None:
            return self._say("waiting for the release to begin")
        for step in steps_of(release, self._history.entered(release)):
            if step.state is StepState.RUNNING:
                self._say(f"{step.name} …")
            elif step.state in (StepState.DONE, StepState.FAILED):
                self._say(f"{step.name}: {step.result or step.state}")
        return None

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            say(f"{now():%H:%M:%S} {text}", err=self._stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None: ...


class LiveSteps:
    """The steps below each other, as they go."""

    def __init__(self, console: Console, history: ExecutionHistory, what: RepositoryReference) -> None:
        from rich.live import Live

        self._console = console
        self._history = history
        self._what = what
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def show(self, release: Release | None) -> None:
        from rich.console import Group

        from imagegate_cli.output.screen import Text
        from imagegate_cli.releases import view

        if release is None:
            return self._live.update(Text(f"{self._what}: waiting for its release", style="dim"))
        title = f"{self._what} at the {release.stage} gate, attempt {release.attempt}"
        steps = steps_of(release, self._history.entered(release))
        pretty = view.speaks_unicode(self._console)
        return self._live.update(
            Group(Text(title, style="bold"), view.steps_table(steps, unicode=pretty, animated=True), Text())
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()


def choose(history: ExecutionHistory, what: RepositoryReference, *, watch: bool, as_json: bool) -> Progress:
    """With --json stdout is for machines alone."""
    from imagegate_cli.releases import view

    if not watch:
        return Quiet(view.console(stderr=True), what)
    console = view.console(stderr=as_json)
    return LiveSteps(console, history, what) if console.is_terminal else Lines(history, stderr=as_json)


def _doing(release: Release | None) -> str:
    if release is None:
        return "waiting for its release to begin"
    running = [step.name for step in steps_of(release) if step.state is StepState.RUNNING]
    return f"{running[0]} …" if running else str(release.outcome)
