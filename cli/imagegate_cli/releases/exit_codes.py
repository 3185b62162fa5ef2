"""The exit codes of commands that wait for a release."""

from __future__ import annotations

from imagegate.release.release import Outcome

# Exit codes of --wait. 2 is also every error; 124 is a time-out, as of timeout(1).
EXIT_CODES = {
    Outcome.RELEASED: 0,
    Outcome.BLOCKED: 1,
    Outcome.CONFLICT: 1,
    Outcome.SUPERSEDED: 1,
    Outcome.WITHDRAWN: 1,
    Outcome.FAILED: 2,
    Outcome.HELD: 3,
}
TIMED_OUT = 124
