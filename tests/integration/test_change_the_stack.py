"""The life of a stack in MiniStack: each change does, keeps and leaves what docs/how-to/change-the-stack.md says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.integration.ministack import PROGRAM, ROOT, EmulatedAccount, Published, StackChange, account
from tools.take_back import import_request

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="MiniStack is not set up; make test does that")
STACK = "gate"
PARTS = ("template.yaml", "functions", "layers", "statemachines")
POLICY, JUDGE = "layers/policy/policy.yaml", "functions/judge_image/handler.py"
DEFINITION = "statemachines/release.asl.yaml"
# With every resource that a parameter switches on.
EVERYTHING = {
    "AlertEmail": "team@example.com",
    "Board": "on",
    "CanaryRepository": "canary-dev",
    "ChatTopic": "on",
    "DeploymentCheck": "on",
    "FindingsLogDays": "30",
    "KnowPushers": "on",
    "ObjectLockDays": "3",
    "RestoreBaseline": "on",
    "ScheduledCleanup": "apply",
    "StorageGigabytes": "5",
}
KEPT = {"Ledger", "Grants", "Records", "BoardBucket", "Key", "ApprovalKey"}
# They cost nothing, and no function of the next stack has the name of one.
FREE = {"AWS::Lambda::LayerVersion"}
# Fails after all functions and aliases are changed.
LATE = {"Type": "Custom::Late", "Properties": {"ServiceToken": "arn:aws:lambda:eu-central-1:1:function:none"}}
ITEM = {"pk": {"S": "image"}, "sk": {"S": "1"}}


@dataclass(frozen=True, slots=True)
class Step:
    """The account after a change."""

    change: StackChange
    published: dict[str, Published]
    there: set[tuple[str, str]]
    resources: dict[str, str]
    definition: str  # of the state machine of releases


@dataclass
class Life:
    """A stack that is changed step by step, and the files from which it is deployed."""

    aws: EmulatedAccount
    checkout: Path
    parameters: dict[str, str] = field(default_factory=EVERYTHING.copy)
    steps: dict[str, Step] = field(default_factory=dict)
    items: dict[str, object] = field(default_factory=dict)  # what the ledger has, by step

    def edit(self, path: str, edit: Callable[[str], str]) -> None:
        file = self.checkout / path
        file.write_text(edit(file.read_text()))

    def deploy(self, step: str, *, fails_late: bool = False) -> None:
        template = self.aws.build(self.checkout)
        resources = template["Resources"]
        if fails_late:
            aliases = [name for name, one in resources.items() if one["Type"] == "AWS::Lambda::Alias"]
            resources["Late"] = LATE | {"DependsOn": aliases}
        self.note(step, self.aws.deploy(STACK, template, **self.parameters))

    def delete(self, step: str) -> None:
        self.note(step, self.aws.delete(STACK))

    def note(self, step: str, change: StackChange) -> None:
        resources = self.aws.resources(STACK) if change.status != "DELETE_COMPLETE" else {}
        machine = resources.get("ReleaseStateMachine")
        definition = self.aws.definition(machine) if machine else ""
        self.steps[step] = Step(change, self.aws.published(), self.aws.inventory(), resources, definition)
        if "created" in self.steps:
            self.items[step] = self.item()

    def item(self) -> object:
        """Return the item that was put into the first ledger, or None if it is not there any more."""
        api, table = self.aws.client("dynamodb"), self.steps["created"].resources["Ledger"]
        try:
            return api.get_item(TableName=table, Key=ITEM).get("Item")
        except api.exceptions.ResourceNotFoundException:
            return None

    def live(self) -> None:
        self.edit(POLICY, lambda text: text + "surprise: 1\n")
        self.deploy("failed first")
        self.delete("failed one removed")
        self.edit(POLICY, lambda text: text.replace("surprise: 1\n", ""))
        self.deploy("created")
        self.aws.client("dynamodb").put_item(TableName=self.steps["created"].resources["Ledger"], Item=ITEM)
        self.parameters["TrustedRoots"] = "0" * 64
        self.deploy("parameter")
        self.edit(JUDGE, lambda text: text + "# another line\n")
        self.edit(DEFINITION, lambda text: text.replace("Comment: ", "Comment: Another definition. ", 1))
        self.deploy("code")
        self.edit(POLICY, lambda text: text.replace("high: 5", "high: 4"))
        self.deploy("policy")
        self.parameters["TrustedRoots"] = "1" * 64
        self.edit(JUDGE, lambda text: text + "# one more line\n")
        self.edit(DEFINITION, lambda text: text.replace("Another definition. ", "A third definition. "))
        self.edit(POLICY, lambda text: text + "surprise: 1\n")
        self.deploy("faulty policy")
        self.edit(POLICY, lambda text: text.replace("surprise: 1\n", ""))
        self.deploy("failed late", fails_late=True)
        self.deploy("corrected")
        left = self.aws.resources(STACK)
        self.delete("removed")
        self.note("taken back", self.aws.change(import_request(STACK, left)))
        self.deploy("completed")
        self.delete("removed again")
        self.deploy("again")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    checkout = tmp_path_factory.mktemp("checkout")
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, checkout / name)
    with account(tmp_path_factory.mktemp("ministack")) as aws:
        life = Life(aws, checkout)
        aws.build(checkout)  # makes the bucket of the packages
        life.note("before", StackChange("DELETE_COMPLETE", [], {}))
        life.live()
        yield life


def left(life: Life, step: str, since: str) -> set[tuple[str, str]]:
    """Return what costs money or takes a name after a step, and was not there after another."""
    return {one for one in life.steps[step].there - life.steps[since].there if one[0] not in FREE}


def test_a_failed_first_deployment_names_the_fault_and_leaves_empty_buckets(life: Life) -> None:
    change = life.steps["failed first"].change
    assert change.status == "ROLLBACK_COMPLETE"
    assert "policy.yaml:" in change.reasons[0]
    assert "surprise: unknown key" in change.reasons[0]
    buckets = left(life, "failed first", "before")
    assert {type_ for type_, _ in buckets} == {"AWS::S3::Bucket"}
    for _, bucket in buckets:
        assert not life.aws.client("s3").list_object_versions(Bucket=bucket).get("Versions")


def test_a_stack_whose_creation_failed_is_deleted_and_made_anew(life: Life) -> None:
    assert life.steps["failed one removed"].change.status == "DELETE_COMPLETE"
    assert life.steps["created"].change.status == "CREATE_COMPLETE"


def test_a_parameter_reaches_what_the_aliases_run_and_replaces_nothing_but_versions(life: Life) -> None:
    before, after = life.steps["created"], life.steps["parameter"]
    assert after.change.status == "UPDATE_COMPLETE"
    assert after.published.keys() == before.published.keys()
    for name, published in after.published.items():
        assert published.version != before.published[name].version, name
        assert published.variables.get("TRUSTED_ROOTS") in ("0" * 64, None), name
    replaced = {name for name, one in before.resources.items() if after.resources[name] != one}
    assert replaced
    assert all("FunctionVersion" in name for name in replaced)
    assert after.there == before.there


def test_new_code_is_a_new_version_of_its_own_function(life: Life) -> None:
    before, after = life.steps["parameter"], life.steps["code"]
    changed = {name for name, one in after.published.items() if one != before.published[name]}
    assert {name.split("-")[1].partition(":")[0] for name in changed} == {"JudgeImageFunction"}
    assert all(after.published[name].code != before.published[name].code for name in changed)
    assert after.there == before.there


def test_another_definition_replaces_no_state_machine(life: Life) -> None:
    """The executions of a replaced one would be stopped."""
    before, after = life.steps["parameter"], life.steps["code"]
    assert after.resources["ReleaseStateMachine"] == before.resources["ReleaseStateMachine"]
    assert ("Another definition." in before.definition, "Another definition." in after.definition) == (
        False,
        True,
    )


def test_another_policy_is_published_and_the_earlier_one_is_kept(life: Life) -> None:
    before, after = life.steps["code"], life.steps["policy"]
    readers = [name for name, one in before.published.items() if "PARSED_POLICY" in one.variables]
    assert readers
    for name in readers:
        digests = [step.published[name].variables["PARSED_POLICY"] for step in (before, after)]
        assert digests[0] != digests[1]
        assert before.published[name].version != after.published[name].version
    records = life.aws.client("s3").list_objects_v2(Bucket=after.resources["Records"])["Contents"]
    policies = [one["Key"] for one in records if one["Key"].startswith("policies/")]
    for step in (before, after):
        digest = step.published[readers[0]].variables["PARSED_POLICY"].split()[0].removeprefix("sha256:")
        assert any(digest in key for key in policies)


@pytest.mark.parametrize("step", ["faulty policy", "failed late"])
def test_a_failed_update_leaves_everything_as_it_was(life: Life, step: str) -> None:
    before, after = life.steps["policy"], life.steps[step]
    assert after.change.status == "UPDATE_ROLLBACK_COMPLETE"
    assert after.published == before.published
    assert after.resources == before.resources
    assert after.definition == before.definition
    assert not left(life, step, "policy")


def test_a_faulty_policy_fails_before_any_alias_is_changed(life: Life) -> None:
    change = life.steps["faulty policy"].change
    assert "surprise: unknown key" in change.reasons[0]
    assert not [name for name in change.changed if "Alias" in name.removesuffix("KeyAlias")]


def test_a_late_failure_came_after_the_aliases_were_changed(life: Life) -> None:
    """The test above proves nothing otherwise."""
    assert "JudgeImageFunctionAliaslive" in life.steps["failed late"].change.changed


def test_the_corrected_change_is_deployed_after_a_failure(life: Life) -> None:
    before, after = life.steps["policy"], life.steps["corrected"]
    assert after.change.status == "UPDATE_COMPLETE"
    assert all(one.version != before.published[name].version for name, one in after.published.items())


def test_a_removed_stack_leaves_what_the_page_names_with_its_content(life: Life) -> None:
    removed, resources = life.steps["removed"], life.steps["corrected"].resources
    assert removed.change.status == "DELETE_COMPLETE"
    assert {name for _, name in left(life, "removed", "failed one removed")} == {
        resources[name] for name in KEPT
    }
    assert life.items["removed"] == ITEM
    assert life.aws.client("s3").list_objects_v2(Bucket=resources["Records"])["KeyCount"] > 0


def test_another_stack_takes_back_what_was_kept(life: Life) -> None:
    before = life.steps["corrected"]
    taken, completed = life.steps["taken back"], life.steps["completed"]
    kept = {name: before.resources[name] for name in KEPT}
    assert taken.change.status == "IMPORT_COMPLETE"
    assert taken.resources == kept
    assert completed.change.status == "UPDATE_COMPLETE"
    assert kept.items() <= completed.resources.items()
    assert completed.published.keys() == before.published.keys()
    assert life.items["completed"] == ITEM
    assert left(life, "removed again", "removed") == set()


def test_what_was_kept_is_not_in_the_way_of_a_stack_of_the_same_name(life: Life) -> None:
    """Here, the names of tables follow from that of the stack; on AWS they are others each time."""
    again, kept = life.steps["again"], life.steps["corrected"].resources
    assert again.change.status == "CREATE_COMPLETE"
    named_anew = {"Records", "BoardBucket", "Key", "ApprovalKey"}
    assert not [name for name in named_anew if again.resources[name] == kept[name]]


def test_a_region_where_nobody_could_decide_is_refused_before_anything_is_made(life: Life) -> None:
    elsewhere = EmulatedAccount(life.aws.endpoint, "eu-south-2")
    template = elsewhere.build(life.checkout)
    before = elsewhere.inventory()
    with pytest.raises(ClientError, match="function URLs"):
        elsewhere.deploy(STACK, template)
    assert elsewhere.inventory() == before
