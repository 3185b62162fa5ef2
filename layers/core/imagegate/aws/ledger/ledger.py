"""`DynamoLedger`: all parts of the ledger."""

from __future__ import annotations

from imagegate.aws.dynamodb import DynamoTable
from imagegate.aws.ledger.applications import DynamoClocks, DynamoCurrentReleases, DynamoRollbacks
from imagegate.aws.ledger.images import DynamoBaseImages, DynamoImages, DynamoTagClaims
from imagegate.aws.ledger.mails import DynamoMails
from imagegate.aws.ledger.notices import DynamoDrifts, DynamoNotices, DynamoTurns
from imagegate.aws.ledger.releases import DynamoReleases
from imagegate.aws.ledger.risks import DynamoJudgedAgain, DynamoRisks
from imagegate.aws.ledger.vulnerabilities import DynamoVulnerabilities
from imagegate.aws.ledger.waiting import DynamoHeldReleases, DynamoRepeatedRequests, DynamoScanTokens


class DynamoLedger:
    """All parts of the ledger in one object: its methods are those of the parts."""

    def __init__(self, name: str) -> None:
        table = DynamoTable(name)

        releases = DynamoReleases(table)
        self.latest, self.history, self.get = releases.latest, releases.history, releases.get
        self.begun, self.open_releases = releases.begun, releases.open_releases
        self.recent, self.recent_of_repository = releases.recent, releases.recent_of_repository
        self.begin, self.join, self.close = releases.begin, releases.join, releases.close
        self.record, self.note_platforms = releases.record, releases.note_platforms
        self.note_announcement, self.revoke = releases.note_announcement, releases.revoke

        tokens = DynamoScanTokens(table)
        self.keep_token, self.forget_token = tokens.keep_token, tokens.forget_token
        self.tokens_of, self.all_tokens = tokens.tokens_of, tokens.all_tokens
        held = DynamoHeldReleases(table)
        self.hold, self.held, self.stop_holding = held.hold, held.held, held.stop_holding
        requests = DynamoRepeatedRequests(table)
        self.request_again, self.requested_again = requests.request_again, requests.requested_again
        self.forget_request = requests.forget_request

        images = DynamoImages(table)
        self.note_ignored, self.ignored = images.note_ignored, images.ignored
        self.ignored_among = images.ignored_among
        self.note_pusher, self.pushers = images.note_pusher, images.pushers
        claims = DynamoTagClaims(table)
        self.claim_tag, self.holder = claims.claim_tag, claims.holder
        bases = DynamoBaseImages(table)
        self.note_base, self.bases, self.latest_base = bases.note_base, bases.bases, bases.latest_base

        clocks = DynamoClocks(table)
        self.clocks, self.keep_clocks = clocks.clocks, clocks.keep_clocks
        current = DynamoCurrentReleases(table)
        self.note_current_release, self.current_release = (
            current.note_current_release,
            current.current_release,
        )
        rollbacks = DynamoRollbacks(table)
        self.note_rollback, self.rollbacks = rollbacks.note_rollback, rollbacks.rollbacks

        again = DynamoJudgedAgain(table)
        self.judge_by, self.due_images, self.due_image = again.judge_by, again.due_images, again.due_image
        self.images_in_use, self.judged_among = again.images_in_use, again.judged_among
        self.keep_judgement, self.judge_later = again.keep_judgement, again.judge_later
        self.forget_image = again.forget_image
        vulnerabilities = DynamoVulnerabilities(table)
        self.note_vulnerabilities = vulnerabilities.note_vulnerabilities
        self.applications_with = vulnerabilities.applications_with
        risks = DynamoRisks(table)
        self.risks, self.risk, self.risks_among = risks.risks, risks.risk, risks.risks_among
        self.keep_risk, self.end_risk = risks.keep_risk, risks.end_risk
        self.past_risks = risks.past_risks

        notices = DynamoNotices(table)
        self.note, self.claim = notices.note, notices.claim
        self.is_noted, self.noted = notices.is_noted, notices.noted
        self.installed_at, self.installation = notices.installed_at, notices.installation
        mails = DynamoMails(table)
        self.count_mail, self.keep_later = mails.count_mail, mails.keep_later
        self.later_mails, self.note_summary = mails.later_mails, mails.note_summary
        drifts = DynamoDrifts(table)
        self.known_drifts, self.keep_drifts = drifts.known_drifts, drifts.keep_drifts
        turns = DynamoTurns(table)
        self.take_turn, self.end_turn = turns.take_turn, turns.end_turn
        self.note_progress = turns.note_progress
