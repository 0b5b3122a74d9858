"""The emulated cloud: ministack on loopback, with IAM enforced, and the stack of template.yaml in it."""

import base64
import contextlib
import hashlib
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import translate
from processes import WORK, free_port, say, server, wait_until

REGION = "us-east-1"
STACK = "turnwise"
BUCKET = "packages"
TEMPLATE = "template.json"
BINARIES = ["stream", "conversations", "models", "admin", "worker", "timers"]
API_KEY = "tw_live_sample_0123456789abcdefghijklmnopqrstuv"
ADMIN_KEY = "tw_admin_sample_0123456789abcdefghijklmnopqrstu"
KEY_PEPPERS = "1:" + base64.b64encode(b"a pepper for the emulated cloud.").decode()
ADMINISTRATOR = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # the emulator's own words
DEPLOY_TIMEOUT_S = 120
SECRETS_PATH = "/turnwise/emulated"
# What is in the Parameter Store alone. The key's provider is never called.
SECRETS = {"XAI_API_KEY": "xai-in-the-parameter-store", "TURNWISE_KEY_PEPPERS": KEY_PEPPERS}
PAGE = "https://page.example"


class Cloud:
    """A running emulator: its endpoint and SDK clients for it."""

    def __init__(self, port):
        self.endpoint = f"http://127.0.0.1:{port}"

    def client(self, service, credentials=ADMINISTRATOR):
        """An SDK client for the emulator, as the account's administrator or with a function's own credentials."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
        )


@contextlib.contextmanager
def cloud():
    """Runs the emulator until the block ends."""
    port = free_port()
    state = WORK / "ministack"
    state.mkdir(parents=True, exist_ok=True)
    env = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "IOT_MTLS": "0",
        "IOT_MTLS_PORT": "0",
        # Every call is checked against the policies of the role that makes it.
        "AUTH": "true",
        **ADMINISTRATOR,
        # Handed on to the functions, so that their SDK calls come back here.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "TMPDIR": str(state),
        "STATE_DIR": str(state / "state"),
        "S3_DATA_DIR": str(state / "s3"),
    }
    health = f"http://127.0.0.1:{port}/_ministack/health"
    with server("ministack", [sys.executable, "-m", "ministack"], health, env):
        yield Cloud(port)


def deploy(running, packages):
    """Uploads PACKAGES/<binary>/bootstrap.zip, creates the stack, and returns its outputs."""
    s3 = running.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for binary in BINARIES:
        package = packages / binary / "bootstrap.zip"
        s3.upload_file(str(package), BUCKET, f"{binary}.zip")
        say(f"uploaded {binary}.zip, {package.stat().st_size / 1e6:.2f} MB")

    # From the bucket, as `sam deploy` does it: what is sent along may have 51,200 bytes only, and ours has more.
    template = json.dumps(translate.for_emulator(translate.translate(BUCKET)))
    s3.put_object(Bucket=BUCKET, Key=TEMPLATE, Body=template.encode())
    say(f"uploaded {TEMPLATE}, {len(template) / 1e3:.0f} KB")

    for name, value in SECRETS.items():
        running.client("ssm").put_parameter(Name=f"{SECRETS_PATH}/{name}", Value=value, Type="SecureString")

    formation = running.client("cloudformation")
    formation.create_stack(
        StackName=STACK,
        TemplateURL=f"{running.endpoint}/{BUCKET}/{TEMPLATE}",
        Parameters=[
            {"ParameterKey": "ApiKeySha256", "ParameterValue": hashlib.sha256(API_KEY.encode()).hexdigest()},
            {"ParameterKey": "AdminKeySha256", "ParameterValue": hashlib.sha256(ADMIN_KEY.encode()).hexdigest()},
            {"ParameterKey": "SecretsPath", "ParameterValue": SECRETS_PATH},
            {"ParameterKey": "CorsOrigin", "ParameterValue": PAGE},
            {"ParameterKey": "RustLog", "ParameterValue": "debug"},
        ],
        Capabilities=["CAPABILITY_IAM"],
    )

    def settled():
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = wait_until("the stack settles", settled, DEPLOY_TIMEOUT_S)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        for event in formation.describe_stack_events(StackName=STACK)["StackEvents"]:
            reason = event.get("ResourceStatusReason")
            if reason:
                say(f"{event['LogicalResourceId']}: {reason}")
        sys.exit(f"error: the stack is {stack['StackStatus']}")
    say("the stack is CREATE_COMPLETE")
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def refused(call):
    """Whether IAM refuses the SDK call."""
    try:
        call()
        return False
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
