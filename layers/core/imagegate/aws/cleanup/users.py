"""Services that run images, in one account and Region: Amazon ECS, AWS Lambda, and the clusters of Amazon EKS.

Amazon ECS resolves the digests of a service at its deployment, and starts later tasks from these, also if the image
has no tag any more (Amazon ECS developer guide, "Container image resolution"). AWS Lambda reads an image again after a
time without calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imagegate.aws.clients import client, client_with, translated
from imagegate.aws.ecs.tasks import described, list_tasks
from imagegate.cleanup.usage import UsedImages
from imagegate.errors import AccessRefusedError, ImageGateError

if TYPE_CHECKING:
    from imagegate.policy.cleanup import ImageUser

_DENIED: Mapping[str, type[ImageGateError]] = {
    "AccessDeniedException": AccessRefusedError,
    "AccessDenied": AccessRefusedError,
}
# Amazon ECS API reference: the most services, and revisions, that one call describes.
_SERVICES_A_CALL, _REVISIONS_A_CALL = 10, 20
_SESSION = "imagegate-cleanup"

Client = Callable[[str], Any]
_Named = Iterator[tuple[str, str]]


class AwsImageUsers:
    """The services of the own account, and those of other accounts by their roles."""

    def __init__(self, registry: str) -> None:
        self._registry = registry

    def used(self, users: Sequence[ImageUser]) -> UsedImages:
        """Return what runs. Raises `AccessRefusedError` or a retryable error that names the account that is silent."""
        found = UsedImages()
        for clients, where in self._places(users):
            found = found.merged(self._read(clients, where))
        return found

    def running(self, users: Sequence[ImageUser] = ()) -> tuple[list[tuple[str, str]], list[str]]:
        """Return the images that run here and at the users, with who runs them, and the clusters of Amazon EKS.

        A task definition that nothing uses runs nothing. Raises the errors of `used`.
        """
        named: dict[tuple[str, str], None] = {}
        eks: list[str] = []
        for clients, where in self._places(users):
            with translated(_DENIED, subject=f"what runs in {where}"):
                named |= dict.fromkeys([*_running_in_ecs(clients("ecs"), {}), *_in_lambda(clients("lambda"))])
                eks += _pages(clients("eks"), "list_clusters", "clusters")
        return list(named), eks

    def _places(self, users: Sequence[ImageUser]) -> Iterator[tuple[Client, str]]:
        """Yield the own account, and each account and Region of the users, with its clients."""
        yield client, "this account"
        for user in users:
            with translated(_DENIED, subject=f"the role {user.role} of the policy"):
                response = client("sts").assume_role(RoleArn=user.role, RoleSessionName=_SESSION)
            for region in user.regions or (client("sts").meta.region_name,):
                yield _clients(response["Credentials"], region), f"{user.role} in {region}"

    def _read(self, clients: Client, where: str) -> UsedImages:
        with translated(_DENIED, subject=f"what runs in {where}"):
            named = [*_in_ecs(clients("ecs")), *_in_lambda(clients("lambda"))]
            clusters = list(_pages(clients("eks"), "list_clusters", "clusters"))
        return UsedImages.read(self._registry, named, clusters)


def _clients(credentials: Mapping[str, str], region: str) -> Client:
    return lambda service: client_with(service, credentials, region)


def _in_ecs(ecs: Any) -> _Named:
    """Yield the images of running tasks, of services with all their deployments, and of the newest task definitions."""
    definitions: dict[str, str] = {}
    yield from _running_in_ecs(ecs, definitions)
    # Scheduled tasks start from the newest revision of their family.
    for family in _pages(ecs, "list_task_definition_families", "families", status="ACTIVE"):
        definitions.setdefault(family, f"the task definition {family}")
    yield from _defined(ecs, definitions)


def _running_in_ecs(ecs: Any, definitions: dict[str, str]) -> _Named:
    """Yield the images of running tasks and of services, and note the task definitions of services."""
    for cluster in _pages(ecs, "list_clusters", "clusterArns"):
        for task in list_tasks(ecs, cluster):
            # Its definition is not read: it says no more, and that of a managed daemon is none for the call.
            yield from _both(task.get("containers", ()), f"the task {task['taskArn']}")
        for service in _services(ecs, cluster):
            user = f"the service {service['serviceArn']}"
            for part in (service, *service.get("deployments", ()), *service.get("taskSets", ())):
                definitions[part.get("taskDefinition", "")] = user
            for revision in _revisions(ecs, service):
                definitions[revision.get("taskDefinition", "")] = user
                yield from _both(revision.get("containerImages", ()), user)


def _defined(ecs: Any, definitions: Mapping[str, str]) -> _Named:
    """Yield the images of task definitions, each by whoever uses it."""
    for name in filter(None, definitions):
        described = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        for one in described.get("containerDefinitions", ()):
            yield one.get("image", ""), definitions[name]


def _both(containers: Sequence[Mapping[str, Any]], user: str) -> _Named:
    """Yield each image as it is written, and by the digest that Amazon ECS resolved."""
    for container in containers:
        image, digest = container.get("image", ""), container.get("imageDigest")
        if digest and "@" not in image:
            yield f"{image}@{digest}", user
        yield image, user


def _services(ecs: Any, cluster: str) -> Iterator[Mapping[str, Any]]:
    arns = list(_pages(ecs, "list_services", "serviceArns", cluster=cluster))
    for start in range(0, len(arns), _SERVICES_A_CALL):
        some = arns[start:][:_SERVICES_A_CALL]
        yield from described(ecs.describe_services(cluster=cluster, services=some), "services", len(some))


def _revisions(ecs: Any, service: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the revisions that a service runs, and those that its deployments come from and lead to."""
    arns = {one["arn"] for one in service.get("currentServiceRevisions", ())}
    for deployment in _deployments(ecs, service):
        arns.add(deployment.get("targetServiceRevisionArn", ""))
    wanted = sorted(arns - {""})
    for start in range(0, len(wanted), _REVISIONS_A_CALL):
        some = wanted[start:][:_REVISIONS_A_CALL]
        response = ecs.describe_service_revisions(serviceRevisionArns=some)
        yield from described(response, "serviceRevisions", len(some))


def _deployments(ecs: Any, service: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the 20 newest deployments of a service; services without deployments of their own have none."""
    if service.get("currentServiceRevisions") or service.get("currentServiceDeployment"):
        response = ecs.list_service_deployments(service=service["serviceArn"], cluster=service["clusterArn"])
        yield from response.get("serviceDeployments", ())


def _in_lambda(functions: Any) -> _Named:
    """Yield the image of each function and of each of its published versions; aliases lead to these."""
    for function in _pages(functions, "list_functions", "Functions", FunctionVersion="ALL"):
        if function.get("PackageType") == "Image":
            name, version = function["FunctionName"], function["Version"]
            code = functions.get_function(FunctionName=name, Qualifier=version).get("Code", {})
            for key in ("ImageUri", "ResolvedImageUri"):
                if code.get(key):
                    yield code[key], f"the function {name}:{version}"


def _pages(service: Any, operation: str, name: str, **arguments: Any) -> Iterator[Any]:
    for page in service.get_paginator(operation).paginate(**arguments):
        yield from page[name]
