"""Turns template.yaml into the CloudFormation template that a deployment would apply, offline.

    python infra/emulate/translate.py [--bucket NAME] [--for-emulator] > translated.json

Without options the result is what the cloud gets, and `cargo xtask validate` asserts on it. With --bucket the code of a
function is BUCKET/<binary>.zip. --for-emulator leaves out what the emulator does not understand.
"""

import argparse
import json
import logging
import os
import pathlib
import sys

# The translator asks for a region to fill in the partition; any will do.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "template.yaml"

logging.getLogger("samtranslator").setLevel(logging.ERROR)


class NoManagedPolicies:
    """The template names its managed policies by ARN, so none has to be looked up in an account."""

    def load(self):
        return {}


def translate(bucket="packages"):
    """The translated template; the code of each function is s3://BUCKET/<binary>.zip."""
    template = yaml_parse(TEMPLATE.read_text())
    template["Globals"]["Function"].pop("CodeUri")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{binary}.zip"
    return transform(template, {}, NoManagedPolicies())


def for_emulator(translated):
    """The same template as far as the emulator understands it.

    It cannot parse a streaming integration, so the streaming routes are given buffered ones, it reads gateway responses
    only from resources, not from the API's definition, and it judges every call of the Parameter Store as one about all.
    """
    text = json.dumps(translated)
    text = text.replace("path/2021-11-15/functions/", "path/2015-03-31/functions/")
    text = text.replace("/response-streaming-invocations", "/invocations")
    result = json.loads(text)
    resources = result["Resources"]
    body = resources["Api"]["Properties"]["Body"]
    for methods in body["paths"].values():
        for method in methods.values():
            method["x-amazon-apigateway-integration"].pop("responseTransferMode", None)

    for statement in resources["SecretsPolicy"]["Properties"]["PolicyDocument"]["Statement"]:
        statement["Resource"] = "*"

    responses = {
        f"Api{kind.title().replace('_', '')}": {
            "Type": "AWS::ApiGateway::GatewayResponse",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ResponseType": kind,
                "ResponseParameters": response["responseParameters"],
                "ResponseTemplates": response["responseTemplates"],
                **({"StatusCode": str(response["statusCode"])} if "statusCode" in response else {}),
            },
        }
        for kind, response in body.pop("x-amazon-apigateway-gateway-responses").items()
    }
    for resource in resources.values():
        if resource["Type"] == "AWS::ApiGateway::Deployment":
            resource["DependsOn"] = sorted(responses)
    resources.update(responses)
    return result


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bucket", default="packages")
    arguments.add_argument("--for-emulator", action="store_true")
    options = arguments.parse_args()
    result = translate(options.bucket)
    json.dump(for_emulator(result) if options.for_emulator else result, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
