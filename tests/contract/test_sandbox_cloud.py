"""The promises of the sandbox to the person who starts it."""

from __future__ import annotations

import signal
import urllib.error
from contextlib import suppress
from pathlib import Path

import pytest

from tests.contract.served_cloud import FIXTURES, ServedCloud, served_cloud, start
from tests.patience import eventually

needs_proc = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    own = [int(child) for child in listed.split()]
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended since
            own += [int(child) for child in (task / "children").read_text().split()]
    return sorted(set(own))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_the_env_file_has_all_variables_of_clients(cloud: ServedCloud) -> None:
    assert set(cloud.env) == {
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "IMAGEGATE_REGISTRY",
        "IMAGEGATE_TRUST_ROOT",
        "IMAGEGATE_STACK",
    }
    assert (cloud.state / "env").stat().st_mode & 0o077 == 0
    assert "BEGIN CERTIFICATE" in Path(cloud.env["IMAGEGATE_TRUST_ROOT"]).read_text()


def test_it_says_where_it_is(cloud: ServedCloud) -> None:
    for name in ("AWS_ENDPOINT_URL", "IMAGEGATE_REGISTRY"):
        assert cloud.env[name] in cloud.printed
    assert f"source {cloud.state / 'env'}" in cloud.printed


@needs_proc
def test_it_listens_on_loopback_only(cloud: ServedCloud) -> None:
    sockets = {
        str(link.readlink()) for link in Path(f"/proc/{cloud.process.pid}/fd").iterdir() if link.is_symlink()
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert listening
    assert all(address.startswith("0100007F:") for address in listening)


def test_quirks_are_switched_while_it_runs(cloud: ServedCloud) -> None:
    assert cloud.api("/sandbox-api/quirks")["event_copies"] == 1
    assert cloud.api("/sandbox-api/quirks", {"event_copies": 3})["event_copies"] == 3
    assert cloud.api("/sandbox-api/quirks", {"event_copies": 1})["event_copies"] == 1
    for wrong in ({"no_such_quirk": 1}, {"event_copies": "many"}):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            cloud.api("/sandbox-api/quirks", wrong)


@needs_proc
def test_a_stop_leaves_nothing_behind_and_a_second_one_runs_beside_it(
    cloud: ServedCloud, tmp_path: Path
) -> None:
    with served_cloud(tmp_path, "tiny", "--stack", "second") as second:
        assert second.invoke("Alias", 1)["event"] == 1
        assert cloud.invoke("Where", {})["event"] == {}
        started = children(second.process.pid)
        assert started
    assert second.process.returncode == 0
    assert all(gone(pid) for pid in started)
    assert not (tmp_path / "env").exists()
    assert not (tmp_path / "functions").exists()


@needs_proc
def test_functions_die_with_a_sandbox_that_is_killed(tmp_path: Path) -> None:
    with served_cloud(tmp_path, "tiny") as killed:
        killed.invoke("Alias", 1)
        started = children(killed.process.pid)
        assert started
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
        eventually(lambda: all(gone(pid) for pid in started), "its functions end")


def test_a_folder_holds_one_sandbox(cloud: ServedCloud) -> None:
    process = start(cloud.state, FIXTURES / "tiny" / "template.yaml")
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"a sandbox is already running in {cloud.state}" in printed
    assert (cloud.state / "env").exists()
