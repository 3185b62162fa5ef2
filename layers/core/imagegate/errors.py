"""One root error with two branches: errors that may pass when the call is repeated, and rejected input.

Class names are a wire contract: the state machine retries and catches by them (`errorType`).
"""

from imagegate.text import one_line, printable

_LONGEST = 4_000  # characters of a message


class ImageGateError(Exception):
    """Root of every error that imagegate raises on purpose. Its message is one printable line."""

    def __str__(self) -> str:
        return one_line(super().__str__(), _LONGEST)


class RetryableError(ImageGateError):
    """The same call may succeed later; the state machine and the queues repeat it."""


class RejectedInputError(ImageGateError):
    """The same call will never succeed: the message says what is wrong and what to do."""


class ThrottledError(RetryableError):
    """A service gets too many requests."""


class ServiceUnavailableError(RetryableError):
    """An AWS service did not answer, or answered 5xx."""


class FindingsChangedError(RetryableError):
    """The image was scanned again while the findings were read page by page."""


class NewerRequestError(RetryableError):
    """A newer version of imagegate sent this. During an update, or on the way back from one, that passes."""


class RegistryUnavailableError(RetryableError):
    """The registry did not answer, or answered 5xx."""


class InvalidDigestError(RejectedInputError):
    """A digest that is not well-formed sha256."""


class InvalidEventError(RejectedInputError):
    """An event or request that does not have the documented shape."""


class InvalidPolicyError(RejectedInputError):
    """The policy file cannot be used; the message lists every fault with its path and line."""

    def __str__(self) -> str:
        """Return one line per fault; each argument is a fault."""
        return "\n".join(printable(str(fault)) for fault in self.args)


class ImageNotFoundError(RejectedInputError):
    """The repository, or the digest or tag in it, does not exist."""


class ScanRefusedError(RejectedInputError):
    """No scan of this image starts; the message says why."""


class UnsupportedImageError(ScanRefusedError):
    """The scanner cannot read such an image."""


class AmbiguousDocumentError(RejectedInputError):
    """A manifest, index or image config that is malformed, or that another client could read otherwise."""


class CorruptContentError(RejectedInputError):
    """Content whose digest is not the requested one."""


class MissingRepositoryError(RejectedInputError):
    """The repository to promote to does not exist, and is in a registry where this stack creates none."""


class MissingKeyError(RejectedInputError):
    """AWS KMS has no key of this alias."""


class MissingLayerError(RejectedInputError):
    """The manifest is there, but a layer is missing: the image has to be pushed again."""


class ArchivedContentError(RejectedInputError):
    """An image or a layer is archived, so nobody can pull it."""


class QuotaReachedError(RejectedInputError):
    """A quota of the account or of the repository is used up."""


class AccessRefusedError(RejectedInputError):
    """The registry or a service denies this role the call."""


class TagConflictError(RejectedInputError):
    """An immutable tag is taken by another digest."""


class RecordNotFoundError(RejectedInputError):
    """No decision record or policy is stored under that digest."""


class UnreadableRecordError(RecordNotFoundError):
    """A record that is missing, or that this role may not read: nobody can tell which."""


class SbomRefusedError(RejectedInputError):
    """An exported file is not an SBOM of the image; the message says why."""


class DecisionRefusedError(RejectedInputError):
    """A request to `sign_image` for a decision that it must not sign."""


class UnprovenEndingError(RejectedInputError):
    """A request to `announce` for an outcome that the ledger does not prove; the release stays open."""


class VerificationError(RejectedInputError):
    """A signature that is not valid.

    `check` is the name of the failed check in trust policies (Notary Project, "Signature Verification details"); it is
    empty if no check was possible.
    """

    check = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.check}: {message}" if self.check else message


class IntegrityError(VerificationError):
    """The envelope is malformed, altered, or not for this subject."""

    check = "integrity"


class AuthenticityError(VerificationError):
    """The certificate chain breaks a rule or ends outside the trust store, or the signer is not the expected one."""

    check = "authenticity"


class UntrustedRootError(AuthenticityError):
    """The certificate chain is complete and ends outside the trust store. Another trust store may accept it."""


class AuthenticTimestampError(VerificationError):
    """A certificate was not valid when the signature was made, or that time is not authentic."""

    check = "authenticTimestamp"


class ExpiryError(VerificationError):
    """The signature has expired."""

    check = "expiry"


class RevocationError(VerificationError):
    """The signature, its profile or a certificate is revoked, or its status is unknown."""

    check = "revocation"


class RevokedError(RevocationError):
    """AWS Signer says that the signature, its profile or a certificate has been revoked."""


class RevocationUnansweredError(RevocationError):
    """AWS Signer could not say now whether something is revoked."""


class UnsupportedEnvelopeError(VerificationError):
    """A signature in an envelope format that imagegate does not read."""


class TrustPolicyError(VerificationError):
    """The trust policy or a trust store cannot be used, or no policy applies to the image."""
