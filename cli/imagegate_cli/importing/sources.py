"""The image to import: `HOST/NAME:TAG`, `HOST/NAME@DIGEST`, or a short name of Docker Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from imagegate.errors import AccessRefusedError, ImageNotFoundError, RejectedInputError
from imagegate.oci.image import ImageRef
from imagegate_cli.docker_credentials import credentials_of
from imagegate_cli.faults import CannotTellError, NotFoundError
from imagegate_cli.reference import RepositoryReference

if TYPE_CHECKING:
    from imagegate.oci.client import HttpRegistry

# The first part of a name is a registry when it looks like one (distribution/reference: a dot, a colon, localhost).
_HOST = re.compile(r"(?P<host>localhost|[^/]*[.:][^/]*)/(?P<rest>.+)")
_HUB = "docker.io"
_HUB_NAMES = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_ENDPOINT = "https://registry-1.docker.io"
_HUB_LOGIN = "https://index.docker.io/v1/"  # the key under which `docker login` stores credentials
_LOOPBACK = ("localhost", "127.0.0.1")
_FORM = "write HOST/NAME:TAG, HOST/NAME@DIGEST, or a name of Docker Hub as nginx:1.27"


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """The name of an image in another registry. The image may not exist."""

    host: str
    reference: RepositoryReference

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name; without tag and digest the tag is `latest`. Raises `CannotTellError`."""
        match = _HOST.fullmatch(text)
        host, rest = (match["host"], match["rest"]) if match else (_HUB, text)
        host = _HUB if host in _HUB_NAMES else host
        if host == _HUB and "/" not in rest:
            rest = f"library/{rest}"
        try:
            reference = RepositoryReference.parse(rest)
        except RejectedInputError as error:
            raise CannotTellError(f"cannot import {text!r}: {error}; {_FORM}") from error
        if not reference.names_an_image:
            reference = RepositoryReference(reference.repository, "latest")
        return cls(host, reference)

    def __str__(self) -> str:
        return f"{self.host}/{self.reference}"

    @property
    def endpoint(self) -> str:
        if self.host == _HUB:
            return _HUB_ENDPOINT
        return f"{'http' if self.host.partition(':')[0] in _LOOPBACK else 'https'}://{self.host}"

    def opened(self) -> Opened:
        """Find the image. Raises `NotFoundError`, or `AccessRefusedError` that says how to sign in."""
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
            # Registries respond alike for a private image and for one that does not exist.
            raise AccessRefusedError(
                f"no access to {self}, or there is no such image: check its name, and sign in: docker login"
                f" {self.host} (in another folder than ~/.docker: set DOCKER_CONFIG): {error}"
            ) from error
        return Opened(registry, ImageRef(repository, manifest.digest))


@dataclass(frozen=True, slots=True)
class Opened:
    """The image in its registry, identified by its digest from now on."""

    registry: HttpRegistry
    image: ImageRef
