"""Where an image to import is: `HOST/NAME:TAG`, `HOST/NAME@DIGEST`, or a short name of Docker Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from imagegate.errors import AccessRefusedError, ImageNotFoundError, RejectedInputError
from imagegate.oci.image import ImageRef
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.reference import RepositoryReference
from imagegate_cli.verification.sources import credentials_of

if TYPE_CHECKING:
    from imagegate.oci.client import HttpRegistry

# The first part of a name is a registry when it looks like one (distribution/reference: a dot, a colon, localhost).
_HOST = re.compile(r"(?P<host>localhost|[^/]*[.:][^/]*)/(?P<rest>.+)")
_HUB = "docker.io"
_HUB_NAMES = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_ENDPOINT = "https://registry-1.docker.io"
_HUB_LOGIN = "https://index.docker.io/v1/"  # under this `docker login` keeps it
_LOOPBACK = ("localhost", "127.0.0.1")
_FORM = "write HOST/NAME:TAG, HOST/NAME@DIGEST, or a name of Docker Hub as nginx:1.27"


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image's name in another registry. Nothing was asked yet."""

    host: str
    reference: RepositoryReference

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise `CannotTellError`. Without tag and digest it is `latest`, as for every Docker client."""
        match = _HOST.fullmatch(text)
        host, rest = (match["host"], match["rest"]) if match else (_HUB, text)
        host = _HUB if host in _HUB_NAMES else host
        if host == _HUB and "/" not in rest:
            rest = f"library/{rest}"
        try:
            named = RepositoryReference.parse(rest)
        except RejectedInputError as error:
            raise CannotTellError(f"cannot import {text!r}: {error}; {_FORM}") from error
        latest = named if named.names_an_image else RepositoryReference(named.repository, "latest")
        return cls(host, latest)

    def __str__(self) -> str:
        return f"{self.host}/{self.reference}"

    @property
    def endpoint(self) -> str:
        if self.host == _HUB:
            return _HUB_ENDPOINT
        return f"{'http' if self.host.partition(':')[0] in _LOOPBACK else 'https'}://{self.host}"

    def opened(self) -> Opened:
        """Look for the image. Raises `NotFoundError`, or `AccessRefusedError` that says how to be let in."""
        from imagegate.oci.client import HttpRegistry
        from imagegate_cli.importing.tokens import TokenLogin

        repository, wanted = self.reference.repository, self.reference.digest or self.reference.tag or ""
        credentials = credentials_of(_HUB_LOGIN if self.host == _HUB else self.host)
        login = TokenLogin(self.endpoint, repository, str(wanted), self.host, credentials)
        registry = HttpRegistry(login, guard=login.guard)
        try:
            manifest = registry.manifest(repository, wanted)
        except ImageNotFoundError as error:
            raise NotFoundError(f"there is no {self}: {error}") from error
        except AccessRefusedError as error:
            # Registries say the same of what is private and of what does not exist.
            raise AccessRefusedError(
                f"no access to {self}, or there is no such image: check its name, and sign in: docker login"
                f" {self.host} (only credentials in ~/.docker/config.json itself are used): {error}"
            ) from error
        return Opened(registry, ImageRef(repository, manifest.digest))


@dataclass(frozen=True, slots=True)
class Opened:
    """The image as it is there now; from here on it goes by its digest."""

    registry: HttpRegistry
    image: ImageRef
