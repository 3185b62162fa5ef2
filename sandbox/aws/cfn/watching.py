"""CloudWatch and its logs: the CloudFormation types."""

from __future__ import annotations

import json
import re

from sandbox.aws.cfn.creation import Context, Created, Properties, drop_properties, resource, tags_of


@resource("AWS::Logs::LogGroup", "Arn")
def _log_group(context: Context, properties: Properties) -> Created:
    name = properties.get("LogGroupName", context.name)
    own = ("LogGroupName", "RetentionInDays", "KmsKeyId", "Tags")
    context.call(
        "logs",
        "CreateLogGroup",
        logGroupName=name,
        kmsKeyId=properties.get("KmsKeyId"),
        tags=tags_of(properties) or None,
        **{key[0].lower() + key[1:]: value for key, value in drop_properties(properties, *own).items()},
    )
    if days := properties.get("RetentionInDays"):
        context.call("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=days)
    region, account = context.settings.region, context.settings.account
    return Created(name, {"Arn": f"arn:aws:logs:{region}:{account}:log-group:{name}:*"})


@resource("AWS::Logs::ResourcePolicy")
def _log_policy(context: Context, properties: Properties) -> Created:
    name = properties["PolicyName"]
    context.call("logs", "PutResourcePolicy", policyName=name, policyDocument=properties["PolicyDocument"])
    return Created(name)


@resource("AWS::Logs::MetricFilter")
def _metric_filter(context: Context, properties: Properties) -> Created:
    name = properties.get("FilterName", context.name)
    transformations = [
        {key[0].lower() + key[1:]: value for key, value in item.items() if key != "Dimensions"}
        for item in properties["MetricTransformations"]
    ]
    context.call(
        "logs",
        "PutMetricFilter",
        logGroupName=properties["LogGroupName"],
        filterName=name,
        filterPattern=properties.get("FilterPattern", ""),
        metricTransformations=transformations,
    )
    return Created(name)


@resource("AWS::CloudWatch::Alarm", "Arn")
def _alarm(context: Context, properties: Properties) -> Created:
    name = properties.get("AlarmName", context.name)
    context.call("cloudwatch", "PutMetricAlarm", AlarmName=name, **drop_properties(properties, "AlarmName"))
    region, account = context.settings.region, context.settings.account
    return Created(name, {"Arn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"})


@resource("AWS::CloudWatch::CompositeAlarm", "Arn")
def _composite_alarm(context: Context, properties: Properties) -> Created:
    """Check that the alarms of the rule exist. moto has no composite alarms."""
    for name in re.findall(r'"([^"]+)"', properties["AlarmRule"]):
        if not context.call("cloudwatch", "DescribeAlarms", AlarmNames=[name])["MetricAlarms"]:
            raise ValueError(f"the rule of {context.name} names {name}, and there is no such alarm")
    name, settings = properties.get("AlarmName", context.name), context.settings
    return Created(name, {"Arn": f"arn:aws:cloudwatch:{settings.region}:{settings.account}:alarm:{name}"})


@resource("AWS::CloudWatch::Dashboard")
def _dashboard(context: Context, properties: Properties) -> Created:
    name, body = properties.get("DashboardName", context.name), properties["DashboardBody"]
    json.loads(body)  # CloudWatch refuses other text
    context.call("cloudwatch", "PutDashboard", DashboardName=name, DashboardBody=body)
    return Created(name)


@resource("AWS::Logs::QueryDefinition", "QueryDefinitionId")
def _query_definition(context: Context, properties: Properties) -> Created:
    """Check that the log groups exist. moto has no saved queries."""
    for group in properties.get("LogGroupNames", ()):
        if not context.call("logs", "DescribeLogGroups", logGroupNamePrefix=group)["logGroups"]:
            raise ValueError(f"the query {properties['Name']} reads {group}, and there is no such log group")
    return Created(properties["Name"], {"QueryDefinitionId": properties["Name"]})
