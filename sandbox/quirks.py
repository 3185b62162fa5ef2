"""Switches for other behaviour that AWS may also show, so that the sandbox does not only agree with its author."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Quirks:
    """The default: every event once, in order, at once. An enhanced scan says too early that it is done, as AWS was
    seen to do.

    Mutable: tests switch them while the sandbox runs.
    """

    omit_optional_event_fields: bool = False  # image-tag, manifest-media-type, artifact-media-type
    lose_push_events: bool = False  # also of replicas and cached images
    lose_scan_events: bool = False
    event_copies: int = 1  # at least once: 3 = everything three times
    event_delay_seconds: float = 0.0  # late
    swap_events: bool = False  # each event waits for the next one and goes out after it
    referrer_listing_delay_seconds: float = 0.0  # eventual consistency of ListImageReferrers
    summary_before_findings: bool = False  # severity counts present while findings are still empty
    # Phases of the first enhanced scan of an image, in this order; 0 skips a phase.
    early_result_seconds: float = 0.05  # COMPLETE, then as long ACTIVE: an empty list, no counts, no date
    partial_findings_seconds: float = 0.0  # half of the findings, and counts that agree with them
    late_findings_seconds: float = 0.0  # nothing is found, and the coverage says SUCCESSFUL
    late_coverage_seconds: float = 0.0  # all findings are there, and the coverage says PENDING_INITIAL_SCAN
    coverage_reason: str = ""  # the coverage's final reason, instead of the right one
    fail_findings_page: int = 0  # this page of an image's findings answers 500 twice before it works
    rescan_while_paging: bool = False  # once per image, between the first page of findings and the next
    tag_on_child: bool = False  # the tag of a pushed index ends on its first child
    refuse_config_annotations: bool = False  # seen on ECR: annotations on the config's descriptor
    throttle_every: int = 0  # every n-th ECR call is refused with ThrottlingException
    throttle_registry_every: int = 0  # every n-th request to the registry is refused with 429
    break_blobs_every: int = 0  # every n-th blob that is fetched breaks off half-way
    keep_first_chunk_only: bool = False  # of uploads in chunks; seen on ECR, where PATCH answers 201
    replica_status: str = "COMPLETE"  # or IN_PROGRESS (never ends), FAILED
    scan_seconds: float = 0.2  # how long the scanner takes
    hold_scans: bool = False  # no scan ends before this is switched off
    hold_findings: bool = False  # no findings follow an early result before this is switched off
    export_seconds: float = 0.2  # how long Inspector takes to export SBOMs
    hold_exports: bool = False  # no export ends before this is switched off
    scan_outcome: str = "COMPLETE"  # or FAILED, UNSUPPORTED_IMAGE, PENDING (never ends), …
