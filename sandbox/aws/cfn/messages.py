"""SNS, SQS and EventBridge: the CloudFormation types."""

from __future__ import annotations

from sandbox.aws.cfn.creation import Context, Created, Properties, drop_properties, resource, tags_of


@resource("AWS::SNS::Topic", "TopicArn", "TopicName")
def _topic(context: Context, properties: Properties) -> Created:
    name = properties.get("TopicName", context.name)
    own = ("TopicName", "Tags", "Subscription")
    made = context.call(
        "sns",
        "CreateTopic",
        Name=name,
        Attributes=drop_properties(properties, *own) or None,
        Tags=properties.get("Tags"),
    )
    arn = made["TopicArn"]
    for subscription in properties.get("Subscription") or []:
        context.call("sns", "Subscribe", TopicArn=arn, **subscription)
    return Created(arn, {"TopicArn": arn, "TopicName": name})


@resource("AWS::SNS::Subscription", "Arn")
def _subscription(context: Context, properties: Properties) -> Created:
    own = ("TopicArn", "Protocol", "Endpoint", "Region")
    made = context.call(
        "sns",
        "Subscribe",
        TopicArn=properties["TopicArn"],
        Protocol=properties["Protocol"],
        Endpoint=properties.get("Endpoint"),
        Attributes=drop_properties(properties, *own) or None,
        ReturnSubscriptionArn=True,
    )
    return Created(made["SubscriptionArn"], {"Arn": made["SubscriptionArn"]})


@resource("AWS::SNS::TopicPolicy", "Id")
def _topic_policy(context: Context, properties: Properties) -> Created:
    for topic in properties["Topics"]:
        context.call(
            "sns",
            "SetTopicAttributes",
            TopicArn=topic,
            AttributeName="Policy",
            AttributeValue=properties["PolicyDocument"],
        )
    return Created(context.name, {"Id": context.name})


@resource("AWS::SQS::Queue", "Arn", "QueueName", "QueueUrl")
def _queue(context: Context, properties: Properties) -> Created:
    name = properties.get("QueueName", context.name)[:80]
    attributes = drop_properties(properties, "QueueName", "Tags")
    made = context.call(
        "sqs",
        "CreateQueue",
        QueueName=name,
        Attributes=attributes or None,
        tags=tags_of(properties) or None,
    )
    url = made["QueueUrl"]
    arn = f"arn:aws:sqs:{context.settings.region}:{context.settings.account}:{name}"
    return Created(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


@resource("AWS::SQS::QueuePolicy", "Id")
def _queue_policy(context: Context, properties: Properties) -> Created:
    for queue in properties["Queues"]:
        policy = {"Policy": properties["PolicyDocument"]}
        context.call("sqs", "SetQueueAttributes", QueueUrl=queue, Attributes=policy)
    return Created(context.name, {"Id": context.name})


@resource("AWS::Events::Rule", "Arn")
def _rule(context: Context, properties: Properties) -> Created:
    name = properties.get("Name", context.name)[:64]
    targets = properties.get("Targets") or []
    settings = drop_properties(properties, "Name", "Targets")
    arn = context.call("events", "PutRule", Name=name, **settings)["RuleArn"]
    if targets:
        bus = properties.get("EventBusName")
        context.call("events", "PutTargets", Rule=name, EventBusName=bus, Targets=targets)
    return Created(name, {"Arn": arn})
