"""The selection of a clean-up for any repository: whatever hangs together, nothing that has to stay goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from imagegate.cleanup.selection import select_images
from imagegate.lifecycle.stored_image import StorageStatus, StoredImage, people_tags
from imagegate.oci.image import Digest
from imagegate.policy.cleanup import CleanupRule, CleanupTerms

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DIGESTS = [Digest.of(bytes([number])) for number in range(7)]
EVIDENCE_TAGS = [f"sha256-{digest.hex}.sig" for digest in DIGESTS]
PEOPLE_TAGS = ["prod-1", "v1", "v2", "feature-1", "feature-2", "unheard-of"]
TERMS = CleanupTerms(
    rules=(
        CleanupRule(None, older_than=timedelta(days=7)),
        CleanupRule("v*", keep_last=1),
        CleanupRule("feature-*", older_than=timedelta(days=7)),
        CleanupRule("prod*"),
    )
)


@st.composite
def repositories(draw: st.DrawFn) -> list[StoredImage]:
    """Draw images with any tags, parts and subjects; an index has only parts that were there before it."""
    tags = draw(st.permutations([*PEOPLE_TAGS, *EVIDENCE_TAGS]))
    images = []
    for number, digest in enumerate(DIGESTS):
        own = (
            frozenset(tags[2 * number % len(tags) :][: draw(st.integers(0, 2))])
            if number < 6
            else frozenset()
        )
        children = tuple(draw(st.sets(st.sampled_from(DIGESTS[:number]), max_size=3))) if number else ()
        images.append(
            StoredImage(
                digest=digest,
                tags=own,
                pushed_at=NOW - timedelta(days=draw(st.sampled_from([0, 3, 50]))),
                status=draw(st.sampled_from(StorageStatus)),
                archived_at=NOW - timedelta(days=draw(st.sampled_from([10, 500]))),
                is_index=bool(children),
                subject=draw(st.none() | st.sampled_from(DIGESTS)),
                children=children,
            )
        )
    return images


@given(repositories(), st.sets(st.sampled_from(DIGESTS), max_size=2), st.booleans())
def test_nothing_goes_that_is_needed_or_that_a_rule_keeps(
    images: list[StoredImage], needed: set[Digest], is_archived_first: bool
) -> None:
    archive = timedelta(days=90) if is_archived_first else None
    terms = CleanupTerms(TERMS.rules, archive=archive)
    selection = select_images("shop-dev", images, terms, {digest: ["it runs"] for digest in needed}, NOW)
    graph, going = selection.graph, list(selection.going)
    assert not {*going} & (graph.above(needed) | graph.below(graph.above(needed)))
    for place, digest in enumerate(going):
        assert all(whole in going[:place] for whole in graph.wholes(digest)), "a part goes before its whole"
        for tag in people_tags(graph.images[digest]):
            rule = terms.rule_of(tag, "shop-dev")
            assert rule is not None
            assert not rule.keeps_all
        evidence = [one for one in graph.evidence.get(digest, ()) if graph.images[one].subject == digest]
        left = [one for one in evidence if graph.images[one].status is not StorageStatus.ARCHIVED]
        assert {*left} <= {*going}, "ECR takes evidence with its image"
    assert {*going} | {*selection.kept} == {*DIGESTS}
