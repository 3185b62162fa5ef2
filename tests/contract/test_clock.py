"""One module reads the wall clock; whatever else needs the time is given it, in the product and in its tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagegate.clock import utc_now
from tests.contract.wall_clock import reads

ROOT = Path(__file__).parents[2]
CLOCK = ROOT / "layers" / "core" / "imagegate" / "clock.py"
WITHOUT = ("functions", "layers", "cli", "tests/unit", "tests/component")
# Entry points; and adapters that exchange credentials before they end, unless they are given another clock.
CHOOSING = [
    "cli/imagegate_cli/context.py",
    "cli/imagegate_cli/importing/tokens.py",
    "layers/core/imagegate/aws/ecr/registry.py",
    "layers/core/imagegate/oci/client.py",
    "layers/core/imagegate/oci/http.py",
    "layers/core/imagegate/wiring.py",
]
FILES = sorted(path for folder in WITHOUT for path in (ROOT / folder).rglob("*.py"))


def found(source: str) -> list[str]:
    return [text for _, text in reads(source)]


def test_nothing_but_the_clock_reads_the_wall_clock() -> None:
    assert len(FILES) > 100
    others = [path for path in [*FILES, *(ROOT / "tests" / "fakes").glob("*.py")] if path != CLOCK]
    assert [f"{p.relative_to(ROOT)}:{n}: {text}" for p in others for n, text in reads(p.read_text())] == []


def test_the_clock_reads_it_once() -> None:
    assert found(CLOCK.read_text()) == ["datetime.now"]
    assert datetime.now(UTC) <= (read := utc_now()) <= datetime.now(UTC)
    assert read.tzinfo is UTC


def test_the_real_clock_is_where_one_is_chosen_and_nowhere_else() -> None:
    holders = [path for path in FILES if "utc_now" in path.read_text() and path != CLOCK]
    assert [str(path.relative_to(ROOT)) for path in holders] == CHOOSING


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("from datetime import datetime\ndatetime.now(UTC)", "datetime.now"),
        ("from datetime import datetime as d\nd.now(UTC)", "d.now"),
        ("import datetime\ndatetime.datetime.now(datetime.UTC)", "datetime.datetime.now"),
        ("import datetime as d\nd.date.today()", "d.date.today"),
        ("from datetime import datetime\nfield(default_factory=datetime.now)", "datetime.now"),
        ("from datetime import datetime\nnow = partial(datetime.now, UTC)", "datetime.now"),
        ("from datetime import datetime\nMoment = datetime\nMoment.utcnow()", "Moment.utcnow"),
        ("from datetime import datetime\nclass M(datetime): ...\nM.today()", "M.today"),
        ("from datetime import datetime\ngetattr(datetime, 'now')(UTC)", "getattr(datetime, 'now')"),
        ("def f(moment):\n    return type(moment).now(moment.tzinfo)", "type(moment).now(moment.tzinfo)"),
        ("def f(moment):\n    return moment.now(tz=UTC)", "moment.now(tz=UTC)"),
        ("def f(day):\n    return day.today()", "day.today"),
        ("def f():\n    import time as t\n    return t.time()", "t.time"),
        ("from time import time\nsorted(x, key=lambda _: time())", "time"),
        ("from time import time_ns as tick\nf(clock=tick)", "tick"),
        ("__import__('time').time()", "__import__('time').time"),
        ("import time\ntime.clock_gettime(time.CLOCK_REALTIME)", "time.clock_gettime"),
        ("import time\ntime.strftime('%Y')", "time.strftime"),
        ("import time\ntime.gmtime()", "time.gmtime"),
        ("import time\nf(converter=time.localtime)", "time.localtime"),
        ("from email.utils import formatdate\nformatdate(usegmt=True)", "formatdate"),
        ("import uuid\nuuid.uuid1()", "uuid.uuid1"),
    ],
)
def test_no_read_hides(source: str, text: str) -> None:
    assert found(source) == [text]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic() + time.perf_counter()",
        "import time\ntime.strftime('%Y', time.gmtime(0))",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)",
        "from imagegate_cli.context import now\nat = now()",
        "from imagegate import wiring\nwiring.now()",
        "def f(time, today):\n    return time.start, today",
        "from email.utils import formatdate\nformatdate(0, usegmt=True)",
    ],
)
def test_other_calls_than_reads_are_ignored(source: str) -> None:
    assert found(source) == []
