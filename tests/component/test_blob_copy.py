"""Copies of blobs against registries that misbehave: the right result, or an error that says what to do."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from imagegate.errors import (
    AccessRefusedError,
    ArchivedContentError,
    CorruptContentError,
    ImageGateError,
    MissingLayerError,
    QuotaReachedError,
    RegistryUnavailableError,
    ThrottledError,
)
from imagegate.oci.client import HttpRegistry
from imagegate.oci.http import CHUNK, MOST_AT_ONCE
from imagegate.oci.image import Descriptor, Digest
from imagegate.oci.login import Login
from imagegate.oci.throttle import Pace
from tests.component.scripted_registry import Reply, Request, scripted

HERE, NEXT = "team/app-dev", "team/app-staging"


def blob_of(content: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", Digest.of(content), len(content))


def error(code: str, message: str = "because") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


Fault = Callable[[Request], Reply | None]


@dataclass
class Store:
    """A registry of blobs that mounts nothing, with the faults of a test. `fault` answers first; it is None if there is
    none.
    """

    contents: Mapping[str, bytes] = field(default_factory=dict)  # by digest, in the source
    fault: Fault = lambda _: None
    there: set[str] = field(default_factory=set)  # in the target
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0
    most_at_once: int = 0

    def __call__(self, request: Request) -> Reply:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self.fault(request) or self.answer(request)
        finally:
            with self.lock:
                self.at_once -= 1

    def answer(self, request: Request) -> Reply:
        digest = request.path.replace("%3A", ":").rpartition("sha256:")[2][:64]
        if request.method == "HEAD":
            return Reply(200 if digest in self.there else 404)
        if request.method == "GET":
            content = self.contents.get(digest)
            return Reply(404, error("BLOB_UNKNOWN")) if content is None else Reply(body=content)
        if request.method == "POST":
            if digest in self.there:
                return Reply(201)
            return Reply(202, headers={"Location": f"/v2/{NEXT}/blobs/uploads/1"})
        if request.digest != f"sha256:{digest}":
            return Reply(400, error("DIGEST_INVALID"))
        self.there.add(digest)
        return Reply(201)


def store_of(*contents: bytes, fault: Fault = lambda _: None) -> Store:
    return Store({Digest.of(content).hex: content for content in contents}, fault)


def always() -> bool:
    return True


def once(matches: Callable[[Request], bool], reply: Reply, times: int = 1) -> Fault:
    left = iter(range(times))
    return lambda request: reply if matches(request) and next(left, None) is not None else None


def on(method: str) -> Callable[[Request], bool]:
    return lambda request: request.method == method


def slowly(seconds: float) -> Fault:
    def wait(_: Request) -> None:
        threading.Event().wait(seconds)  # tests patch time.sleep

    return wait


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that the code would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def copied(
    store: Store, blobs: Sequence[Descriptor], *, has_time: Callable[[], bool] = always
) -> tuple[dict[Digest, str], list[Request]]:
    with scripted(store) as script:
        registry = HttpRegistry(lambda: Login(script.endpoint))
        return registry.copy_blobs(blobs, HERE, NEXT, has_time), script.requests


LAYER = b"layer" * 1000
OTHER = b"other" * 1000


# Faults that pass.


@pytest.mark.parametrize("method", ["POST", "HEAD", "GET", "PUT"])
@pytest.mark.parametrize(
    "fault",
    [
        Reply(429, error("TOOMANYREQUESTS"), {"Retry-After": "1"}),
        Reply(500),
        Reply(503),
        Reply(hang_up=True),
        Reply(401),
    ],
    ids=["429", "500", "503", "hangs up", "token ended"],
)
def test_a_fault_that_passes_changes_nothing(method: str, fault: Reply) -> None:
    store = store_of(LAYER, OTHER, fault=once(on(method), fault))
    left, requests = copied(store, [blob_of(LAYER), blob_of(OTHER)])
    assert left == {}
    assert store.there == {Digest.of(LAYER).hex, Digest.of(OTHER).hex}
    finished = Counter(r.digest for r in requests if r.method == "PUT" and r.size)
    assert sum(finished.values()) <= 3  # the one that was refused


def test_a_connection_that_breaks_in_the_middle_of_a_blob_is_made_again() -> None:
    cut = Reply(body=LAYER[:100], cut=len(LAYER) - 100)
    store = store_of(LAYER, fault=once(on("GET"), cut))
    assert copied(store, [blob_of(LAYER)])[0] == {}
    assert store.there == {Digest.of(LAYER).hex}


def test_a_blob_whose_last_answer_was_lost_is_not_sent_again() -> None:
    store = store_of(LAYER)

    def carried_out_without_an_answer(request: Request) -> Reply | None:
        if request.method != "PUT":
            return None
        store.answer(request)
        return Reply(hang_up=True)

    store.fault = carried_out_without_an_answer
    left, requests = copied(store, [blob_of(LAYER)])
    assert left == {}
    assert [r.method for r in requests].count("PUT") == 1


def test_a_throttling_registry_gets_fewer_requests(pauses: list[float]) -> None:
    contents = [random.Random(n).randbytes(64) for n in range(40)]
    store = store_of(*contents, fault=once(on("POST"), Reply(429, headers={"Retry-After": "2"}), times=3))
    with scripted(store) as script:
        registry = HttpRegistry(lambda: Login(script.endpoint))
        assert registry.copy_blobs([blob_of(c) for c in contents], HERE, NEXT, always) == {}
    assert len(store.there) == 40
    assert any(pause == pytest.approx(2, abs=0.2) for pause in pauses)


def test_no_more_is_under_way_at_once_than_agreed() -> None:
    contents = [random.Random(n).randbytes(64) for n in range(40)]
    store = store_of(*contents, fault=slowly(0.01))
    assert copied(store, [blob_of(c) for c in contents])[0] == {}
    assert 1 < store.most_at_once <= 2 * MOST_AT_ONCE  # each reads while it writes


def test_no_more_blobs_are_begun_than_the_registrys_pace_allows() -> None:
    store = store_of(LAYER)
    with scripted(store) as script:
        registry = HttpRegistry(lambda: Login(script.endpoint))
        pace = registry._connection.pace
        for _ in range(3):
            pace.slow_down(1, 0.0)  # now it is one at a time
        copying = threading.Thread(target=registry.copy_blobs, args=([blob_of(LAYER)], HERE, NEXT, always))
        with pace.turn():
            copying.start()
            copying.join(0.2)
            assert script.requests == []
        copying.join()
    assert store.there == {Digest.of(LAYER).hex}


# Faults that stay: an error that names the blob, and says what to do.


QUOTA = (
    "The repository with name 'app' in registry with id '1' already has the maximum allowed number of images"
)


@pytest.mark.parametrize(
    ("method", "reply", "expected", "says"),
    [
        ("POST", Reply(429), ThrottledError, "429"),
        ("PUT", Reply(500), RegistryUnavailableError, "500"),
        (
            "POST",
            Reply(403, error("DENIED", "explicit deny")),
            AccessRefusedError,
            "policy of the repository",
        ),
        ("PUT", Reply(403, error("DENIED", QUOTA)), QuotaReachedError, "higher quota"),
        ("GET", Reply(403, error("DENIED", "the image is archived")), ArchivedContentError, "restore"),
        ("GET", Reply(404, error("BLOB_UNKNOWN")), MissingLayerError, "push the image again"),
        ("GET", Reply(body=LAYER[:-1]), CorruptContentError, "4999 bytes, not 5000"),
        ("GET", Reply(body=LAYER[:-1] + b"!"), CorruptContentError, "the bytes have the digest"),
        ("GET", Reply(body=LAYER + b"!"), CorruptContentError, "more than 5000 bytes"),
        ("GET", Reply(body=LAYER[:9], cut=9), RegistryUnavailableError, "IncompleteRead"),
        ("PUT", Reply(400, error("DIGEST_INVALID")), CorruptContentError, "DIGEST_INVALID"),
        ("PUT", Reply(hang_up=True), RegistryUnavailableError, ""),
        ("PUT", Reply(401), RegistryUnavailableError, "token expired"),
        ("POST", Reply(401), AccessRefusedError, "401"),
    ],
)
def test_a_fault_that_stays_is_an_error_of_its_own(
    method: str, reply: Reply, expected: type[ImageGateError], says: str
) -> None:
    store = store_of(LAYER, fault=lambda request: reply if request.method == method else None)
    with pytest.raises(expected, match=str(blob_of(LAYER).digest)) as raised:
        copied(store, [blob_of(LAYER)])
    assert raised.type is expected
    assert says in str(raised.value)
    assert store.there == set()


def test_one_blob_that_fails_ends_the_others_and_is_the_one_that_is_named() -> None:
    contents = [random.Random(n).randbytes(1000) for n in range(40)]
    bad = contents[0]

    def wrong(request: Request) -> Reply | None:
        threading.Event().wait(0.01)
        is_bad = request.method == "GET" and Digest.of(bad).hex in request.path
        return Reply(body=b"?" * len(bad)) if is_bad else None

    store = store_of(*contents, fault=wrong)
    with pytest.raises(CorruptContentError, match=str(Digest.of(bad))):
        copied(store, [blob_of(content) for content in contents])
    assert len(store.there) < 39


def test_a_redirect_to_another_host_while_copying_gets_no_credentials() -> None:
    with scripted(lambda _: Reply(body=LAYER)) as storage:
        away = Reply(307, headers={"Location": f"http://localhost:{storage.port}/bucket/key"})
        store = store_of(fault=lambda r: away if r.method == "GET" else None)
        with scripted(store) as script:
            registry = HttpRegistry(lambda: Login(script.endpoint, "secret"))
            assert registry.copy_blobs([blob_of(LAYER)], HERE, NEXT, always) == {}
    assert store.there == {Digest.of(LAYER).hex}
    assert all("authorization" not in request.headers for request in storage.requests)
    assert all("authorization" in request.headers for request in script.requests)


# Time.


def test_without_time_nothing_is_begun() -> None:
    left, requests = copied(store_of(LAYER), [blob_of(LAYER)], has_time=lambda: False)
    assert (left, requests) == ({blob_of(LAYER).digest: ""}, [])


def test_it_stops_in_the_middle_of_a_blob() -> None:
    content = random.Random(0).randbytes(20 * CHUNK)
    store, chunks = store_of(content), iter(range(5))
    left, _ = copied(store, [blob_of(content)], has_time=lambda: next(chunks, None) is not None)
    assert left == {blob_of(content).digest: ""}
    assert store.there == set()


def test_a_slow_answer_is_waited_for() -> None:
    store = store_of(LAYER, fault=slowly(0.2))
    assert copied(store, [blob_of(LAYER)])[0] == {}


# Where the registry tells about many layers at once.


def test_a_layer_in_the_archive_is_named_with_the_remedy() -> None:
    def layers(repository: str, digests: Sequence[Digest]) -> dict[Digest, str]:
        return dict.fromkeys(digests, "ARCHIVED" if repository == HERE else "UNAVAILABLE")

    with (
        scripted(store_of()) as script,
        pytest.raises(ArchivedContentError, match=f"{HERE}@{blob_of(LAYER).digest}.*restore its image"),
    ):
        HttpRegistry(lambda: Login(script.endpoint), layers=layers).copy_blobs(
            [blob_of(LAYER)], HERE, NEXT, always
        )


def test_a_layer_that_is_archived_in_the_target_is_copied_there_again() -> None:
    """It belongs to another image, which is archived: this one needs it now."""

    def layers(repository: str, digests: Sequence[Digest]) -> dict[Digest, str]:
        return dict.fromkeys(digests, "ARCHIVED")

    store = store_of(LAYER)
    with scripted(store) as script:
        registry = HttpRegistry(lambda: Login(script.endpoint), layers=layers)
        registry.copy_blobs([blob_of(LAYER)], HERE, NEXT, always)
    assert store.there == {Digest.of(LAYER).hex}


# Pace.


def test_errors_halve_the_concurrency_and_successes_restore_it() -> None:
    pace = Pace(6)
    pace.slow_down(1, 0.0)
    assert pace.limit == 3
    for _ in range(100):
        pace.speed_up()
    assert pace.limit == 6


def test_one_trouble_seen_by_many_threads_is_one_trouble() -> None:
    pace = Pace(6)
    for _ in range(6):
        pace.slow_down(1, 5.0)
    assert pace.limit == 3


def test_it_never_stops_altogether() -> None:
    pace = Pace(6)
    for _ in range(9):
        pace.slow_down(1, 0.0)
    assert pace.limit == 1
    with pace.turn():
        pass


def test_each_attempt_waits_longer_and_none_for_long(pauses: list[float]) -> None:
    for attempt in range(1, 9):
        pace = Pace(6)
        pace.slow_down(attempt)
        pace.wait()
    assert all(one < next_one or one > 9.9 for one, next_one in pairwise(pauses))
    assert max(pauses) <= 10
