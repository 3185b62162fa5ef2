"""One root error, two branches: what may be tried again, and what is refused.

Class names are a wire contract: the state machine retries and catches by them (`errorType`).
"""

from imagegate.text import one_line, printable

_LONGEST = 4_000  # characters of a message


class ImageGateError(Exception):
    """Root of every error that imagegate raises on purpose. Its message is one line, whoever wrote parts of it."""

    def __str__(self) -> str:
        return one_line(super().__str__(), _LONGEST)


class RetryableError(ImageGateError):
    """The same call may succeed later; the state machine and the queues try again."""


class RejectedInputError(ImageGateError):
    """The same call will never succeed: the message says what is wrong and what to do."""


class ThrottledError(RetryableError):
    """A service asked to be called less often."""


class ServiceUnavailableError(RetryableError):
    """An AWS service did not answer, or answered 5xx."""


class FindingsChangedError(RetryableError):
    """The scan was run again while its findings were read, page by page."""


class RegistryUnavailableError(RetryableError):
    """The registry did not answer, or answered 5xx."""


class InvalidDigestError(RejectedInputError):
    """Not a well-formed sha256 digest."""


class InvalidEventError(RejectedInputError):
    """An event or request that does not have the documented shape."""


class InvalidPolicyError(RejectedInputError):
    """The policy file cannot be used; the message lists every fault with its path and line."""

    def __str__(self) -> str:
        """One line for each fault: each of the arguments is one."""
        return "\n".join(printable(str(fault)) for fault in self.args)


class ImageNotFoundError(RejectedInputError):
    """The repository, or the digest or tag in it, does not exist."""


class ScanRefusedError(RejectedInputError):
    """No scan of this image will be begun; the message says why."""


class UnsupportedImageError(ScanRefusedError):
    """The scanner cannot read such an image."""


class AmbiguousDocumentError(RejectedInputError):
    """A manifest, index or image config that is malformed, or that another client could read otherwise."""


class CorruptContentError(RejectedInputError):
    """Bytes that do not have the digest under which they were asked for."""


class MissingRepositoryError(RejectedInputError):
    """The repository that an image is to be promoted to does not exist, and is not ours to make."""


class MissingLayerError(RejectedInputError):
    """An image is there, but not everything that it consists of: it has to be pushed again."""


class ArchivedContentError(RejectedInputError):
    """An image or a layer lies in the archive, where nobody can pull it."""


class QuotaReachedError(RejectedInputError):
    """The registry takes no more of this kind: a quota of the account or of the repository is used up."""


class AccessRefusedError(RejectedInputError):
    """The registry or a service said that this role may not do that."""


class TagConflictError(RejectedInputError):
    """An immutable tag is taken by another digest."""


class RecordNotFoundError(RejectedInputError):
    """No decision record or policy is stored under that digest."""


class SbomRefusedError(RejectedInputError):
    """What was exported is no SBOM of the image; the message says why."""


class DecisionRefusedError(RejectedInputError):
    """`sign_image` was asked to sign what it must not sign."""


class UnprovenEndingError(RejectedInputError):
    """`announce` was asked to close a release as what the ledger does not prove; the release stays open."""


class VerificationError(RejectedInputError):
    """A signature that does not hold.

    `check` names what failed as trust policies do (Notary Project, "Signature Verification details"); it is empty where
    nothing could be checked.
    """

    check = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.check}: {message}" if self.check else message


class IntegrityError(VerificationError):
    """The envelope is malformed, altered, or not for this subject."""

    check = "integrity"


class AuthenticityError(VerificationError):
    """The chain does not meet the requirements or lead to the trust store, or the signer is not the one expected."""

    check = "authenticity"


class AuthenticTimestampError(VerificationError):
    """A certificate was not valid when the signature was made, or that time is not authentic."""

    check = "authenticTimestamp"


class ExpiryError(VerificationError):
    """The signature has expired."""

    check = "expiry"


class RevocationError(VerificationError):
    """What signed has been revoked, or nobody can tell whether it has."""

    check = "revocation"


class RevokedError(RevocationError):
    """AWS Signer says that the signature, its profile or a certificate has been revoked."""


class RevocationUnansweredError(RevocationError):
    """AWS Signer was asked whether something has been revoked, and could not answer now."""


class UnsupportedEnvelopeError(VerificationError):
    """A signature in an envelope format that is not read here."""


class TrustPolicyError(VerificationError):
    """The trust policy or a trust store cannot be used, or no policy applies to the image."""
