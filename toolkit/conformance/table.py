"""Every rule of the container contract that `byoa check` tries, in the order in which it does.

To add one: write a `check_*` function (toolkit/conformance/rules.py says how), and give it a line here, or hand it to
`rules.run` beside these:

    rules.run([*RULES, Rule(check_answers_in_german, "serve", "our style guide", "translate the answer")], trial)
"""

from __future__ import annotations

from toolkit.conformance import image_rules as image
from toolkit.conformance import serving_rules as serving
from toolkit.conformance import training_rules as training
from toolkit.conformance.rules import Rule

# pages of the Developer Guide, by the name in their address
SIGNAL = "your-algorithms-training-signal-success-failure"
OUTPUT = "your-algorithms-training-algo-output"
RUNNING = "your-algorithms-training-algo-running-container"
DOCKERFILE = "your-algorithms-training-algo-dockerfile"
INFERENCE = "your-algorithms-inference-code"
BATCH = "your-algorithms-batch-code"
FORMATS = "cdf-inference"
PIPELINE = "inference-pipeline-real-time"
TRAINING_DATA = "model-access-training-data"
ISOLATION = "mkt-algo-model-internet-free"
SERVERLESS = "serverless-endpoints"

# what no page says
JOB_LOGS = "no page; in logs of real jobs a 4xx is the client's error, a 5xx the algorithm's"
LISTINGS = "no page; listings of /opt/ml in logs of real jobs have these files"
SDK = "no page; SageMaker's Python SDK sends this header where the caller names none"
NETWORKS = "no page; a client's timeout or a lost connection ends a body like this"
PROCESSORS = "no page; instances have x86-64 processors, those of Graviton arm64"
PRACTICE = "no page; good practice for containers"

RULES = (
    Rule(
        training.check_good_input_trains,
        "train",
        SIGNAL,
        "read the log; give input that the program understands by --train-data, --content-type, --channel and -p; "
        "a server that trains nothing is checked by --serve-command",
    ),
    Rule(
        training.check_model_is_written,
        "train",
        OUTPUT,
        "write the model as plain files into /opt/ml/model; all of it becomes model.tar.gz",
    ),
    Rule(
        training.check_success_leaves_no_failure_file,
        "train",
        OUTPUT,
        "write output/failure only where the exit status is not 0",
    ),
    Rule(
        training.check_input_is_left_alone,
        "train",
        TRAINING_DATA,
        "write scratch files to /tmp, and never into a channel's folder",
    ),
    Rule(
        training.check_undocumented_files_are_passed_over,
        "train",
        LISTINGS,
        "take the channels from inputdataconfig.json rather than from a listing of /opt/ml/input/data",
    ),
    Rule(
        training.check_bad_input_fails,
        "train",
        SIGNAL,
        "let errors end the program: exit with a status other than 0 instead of saving a model of nothing",
    ),
    Rule(
        training.check_failure_file_says_why,
        "train",
        OUTPUT,
        "catch exceptions in the program's outermost line, write the message to /opt/ml/output/failure, exit with 1",
    ),
    Rule(
        training.check_reason_comes_first,
        "train",
        OUTPUT,
        "write the exception's message first and the trace behind it",
    ),
    Rule(
        training.check_empty_channel_fails,
        "train",
        SIGNAL,
        "check that the channel has files; a wrong S3 prefix or too many hosts leave it empty",
    ),
    Rule(
        training.check_bad_hyperparameter_fails,
        "train",
        SIGNAL,
        "check the hyperparameters, which all arrive as strings, before the data is read",
    ),
    Rule(
        training.check_training_needs_no_network,
        "train",
        ISOLATION,
        "put whatever the program downloads into the image",
    ),
    Rule(
        training.check_training_stops_on_sigterm,
        "train",
        DOCKERFILE,
        "handle SIGTERM: save what there is into /opt/ml/model and exit; a shell script must start the program by exec",
    ),
    Rule(
        serving.check_server_starts,
        "serve",
        INFERENCE,
        "read the log for the first error; listen on port 8080 and answer GET /ping with 200",
    ),
    Rule(
        serving.check_ping_is_quick,
        "serve",
        INFERENCE,
        "answer /ping from memory; load the model before the server listens, and never in the health check",
    ),
    Rule(
        serving.check_each_content_type_is_answered,
        "serve",
        INFERENCE,
        "answer the body with 200 and a Content-Type, or give a body that the server understands by --body",
    ),
    Rule(
        serving.check_content_type_is_a_media_type,
        "serve",
        FORMATS,
        "compare the part before the semicolon, in lower case",
    ),
    Rule(
        serving.check_any_accept_is_default,
        "serve",
        SDK,
        "treat */* and a missing Accept header as the default",
    ),
    Rule(
        serving.check_unknown_content_type_is_refused,
        "serve",
        JOB_LOGS,
        "answer 415 and name the content types that are read; batch transform reports a 4xx as the client's error",
    ),
    Rule(
        serving.check_empty_body_is_refused,
        "serve",
        JOB_LOGS,
        "check the body's length before parsing and answer 400",
    ),
    Rule(
        serving.check_bad_body_is_refused,
        "serve",
        JOB_LOGS,
        "answer what cannot be parsed with 400; a 5xx is tried again, up to three times",
    ),
    Rule(
        serving.check_refusal_says_why,
        "serve",
        JOB_LOGS,
        "send the reason as text or JSON: the caller's ModelError carries this body and nothing else",
    ),
    Rule(
        serving.check_mini_batch_of_6_mb_is_answered,
        "serve",
        BATCH,
        "raise the server's (or nginx's client_max_body_size) limit to 6 MB, and answer within 60 s",
    ),
    Rule(
        serving.check_oversized_body_does_no_harm,
        "serve",
        BATCH,
        "refuse by Content-Length with 413 before the body is read into memory",
    ),
    Rule(
        serving.check_cut_off_body_does_no_harm,
        "serve",
        NETWORKS,
        "treat a connection that ends early as that request's end, not as the server's",
    ),
    Rule(
        serving.check_32_at_once_are_answered,
        "serve",
        BATCH,
        "serve with several threads or processes and a listen queue, and share no state between requests",
    ),
    Rule(
        serving.check_execution_parameters_are_right,
        "serve",
        BATCH,
        'answer {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}, or 404',
    ),
    Rule(
        serving.check_model_may_be_read_only,
        "serve",
        INFERENCE,
        "write to /tmp; lock files and caches beside the model are refused on an endpoint",
    ),
    Rule(
        serving.check_port_can_be_told,
        "serve",
        PIPELINE,
        "listen on the port in SAGEMAKER_BIND_TO_PORT, else on 8080",
    ),
    Rule(
        serving.check_server_stops_on_sigterm,
        "serve",
        INFERENCE,
        "handle SIGTERM: finish the requests at hand and exit; a shell script must start the server by exec",
    ),
    Rule(
        image.check_architecture_is_known,
        "image",
        PROCESSORS,
        "build with --platform linux/amd64; an image of another architecture ends with 'exec format error'",
    ),
    Rule(
        image.check_size_is_within_limit,
        "image",
        SERVERLESS,
        "build in two stages and leave compilers, caches and tests behind",
    ),
    Rule(
        image.check_entrypoint_takes_the_argument,
        "image",
        DOCKERFILE,
        'write ENTRYPOINT ["program"], in brackets; the shell form swallows the argument and the signals',
    ),
    Rule(
        image.check_label_tells_of_bind_to_port,
        "image",
        PIPELINE,
        f"add LABEL {image.BIND_LABEL}=true to the Dockerfile",
    ),
    Rule(
        image.check_works_as_any_user,
        "image",
        "serverless-endpoints-troubleshooting",
        "make what the programs read readable for all (chmod o+rX), and write below /opt/ml and /tmp alone",
    ),
    Rule(
        image.check_works_on_a_read_only_root,
        "image",
        PRACTICE,
        "write below /opt/ml and /tmp alone (HOME=/tmp helps many libraries)",
    ),
    Rule(
        image.check_works_without_capabilities,
        "image",
        PRACTICE,
        "do not switch users or bind ports below 1024 in the container",
    ),
)
