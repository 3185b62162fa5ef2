"""Reads the dead-letter queue without emptying it: what is not deleted is visible again when the reader is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imagegate_cli.dead_letters.letter import DeadLetter, read_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10  # Amazon SQS gives at most so many messages at once
# Others cannot see the messages for so long, if this reader is killed.
_HIDDEN_SECONDS = 120
# A long poll reads all servers of the queue; a short one may miss messages (developer guide, "Short and long polling").
_POLL_SECONDS = 1


class DeadLetterQueue:
    """The dead-letter queue of one stack."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs, self._url = sqs, url
        self._taken: dict[str, DeadLetter] = {}

    @contextmanager
    def letters(self, limit: int) -> Iterator[list[DeadLetter]]:
        """Take up to `limit` messages, the oldest first, and hide them from others until the block ends."""
        try:
            self._take(limit)
            yield sorted(self._taken.values(), key=lambda letter: letter.since)
        finally:
            while self._taken:
                _, letter = self._taken.popitem()
                self._show(letter)

    def delete(self, letter: DeadLetter) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)
        del self._taken[letter.id]

    def _take(self, limit: int) -> None:
        while len(self._taken) < limit:
            messages = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(_BATCH, limit - len(self._taken)),
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=_POLL_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not messages:
                return
            self._taken |= {message["MessageId"]: read_message(message) for message in messages}

    def _show(self, letter: DeadLetter) -> None:
        """Make the message visible again."""
        self._sqs.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
        )
