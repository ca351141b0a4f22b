"""What SageMaker asks of a container, asked of the real program: bytes on the left, the exact answer on the right."""

import json
import re

import pytest

CSV_ROW = "0.1,0.2,0.3,0.4\n"
SUPPORTED_IN = "text/csv, application/json, application/jsonlines"


def csv(X):
    return "".join(",".join(map(repr, row)) + "\n" for row in X.tolist())


def error_of(reply):
    """The error without the request's id, which is new each time and the same in the header."""
    body = reply.json
    assert body.pop("request_id") == reply.headers["X-Request-Id"]
    assert reply.headers["Content-Type"] == "application/json"
    return reply.status, body["error"], body["message"]


def test_ping_says_what_is_served(server):
    reply = server.ask("GET", "/ping")
    assert (reply.status, reply.json) == (200, {"status": "ready", "algorithm": "kmeans"})


def test_every_row_gets_its_answer_in_order(server, rows, nearest):
    reply = server.post(csv(rows))
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert [answer["closest_cluster"] for answer in reply.json["predictions"]] == nearest(rows)


def test_a_lone_row_is_a_list_of_one(server, rows, nearest):
    predictions = server.post(csv(rows[:1])).json["predictions"]
    assert [answer["closest_cluster"] for answer in predictions] == nearest(rows[:1])


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "APPLICATION/JSON", "text/plain, */*;q=0.1"])
def test_json_is_the_answer_where_it_is_accepted(server, accept):
    reply = server.post(CSV_ROW, **({"Accept": accept} if accept else {}))
    assert list(reply.json) == ["predictions"]


def test_lines_are_answered_by_lines(server, rows, nearest):
    body = "".join(json.dumps({"features": row}) + "\n" for row in rows[:3].tolist())
    reply = server.post(body, "application/jsonlines", Accept="application/jsonlines")
    assert reply.headers["Content-Type"] == "application/jsonlines"
    lines = reply.body.decode().splitlines()
    assert [json.loads(line)["closest_cluster"] for line in lines] == nearest(rows[:3])


def test_a_content_type_has_parameters_and_no_case(server):
    assert server.post(CSV_ROW, "Text/CSV; charset=utf-8").status == 200


FOUR_BAD_FIELDS = "CSV line 2 has 3 fields, line 1 has 4"
REFUSED = [
    (CSV_ROW + "1,2,3\n", "text/csv", 400, "BadPayload", FOUR_BAD_FIELDS),
    ("1,2,3\n", "text/csv", 400, "BadPayload", "the payload has 3 features, the model was trained on 4"),
    ("", "text/csv", 400, "BadPayload", "the payload is empty"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "error", "message"), REFUSED)
def test_a_bad_payload_is_told_in_one_sentence(server, body, content_type, status, error, message):
    assert error_of(server.post(body, content_type)) == (status, error, message)


def test_an_unknown_content_type_is_told_what_is_supported(server):
    reply = server.post("x", "image/png")
    status, error, message = error_of(reply)
    assert (status, error) == (415, "BadContentType")
    assert message.startswith(f"content type 'image/png' is not supported; supported are {SUPPORTED_IN}")
    assert reply.json["supported"][:3] == SUPPORTED_IN.split(", ")


def test_an_answer_that_nothing_writes_is_told_what_is_supported(server):
    reply = server.post(CSV_ROW, Accept="image/png")
    status, error, message = error_of(reply)
    assert (status, error) == (406, "BadAccept")
    assert message.startswith(
        "accept 'image/png' is not supported; supported are application/json, application/jsonlines"
    )
    assert reply.json["supported"][0] == "application/json"


def test_other_paths_and_methods_are_told(server):
    assert error_of(server.ask("GET", "/nothing")) == (404, "NotServed", "GET /nothing is not served here: not found")
    told = "GET /invocations is not served here: method not allowed"
    assert error_of(server.ask("GET", "/invocations")) == (405, "NotServed", told)


def test_execution_parameters_offer_a_transform_for_each_worker(server):
    parameters = {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
    assert server.ask("GET", "/execution-parameters").json == parameters


def test_custom_attributes_are_carried(server):
    reply = server.post(CSV_ROW, X_Amzn_SageMaker_Custom_Attributes="trace=17;c=a b")
    assert reply.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=17;c=a b"


def test_a_request_has_the_id_that_its_client_gives_it(server):
    assert server.post(CSV_ROW, X_Amzn_SageMaker_Inference_Id="mine").headers["X-Request-Id"] == "mine"
    ours = [server.post(CSV_ROW).headers["X-Request-Id"] for _ in range(2)]
    assert ours[0] != ours[1]
    assert re.fullmatch("[0-9a-f]{16}", ours[0])


def test_each_request_is_one_line_of_the_log_but_pings_are_not(server):
    server.ask("GET", "/ping")
    server.post(CSV_ROW * 3, X_Amzn_SageMaker_Inference_Id="seen")
    server.post("1,2", X_Amzn_SageMaker_Inference_Id="refused")
    lines = {line["request_id"]: line for line in server.requests()}
    assert all(line["path"] != "/ping" for line in lines.values())
    seen = lines["seen"]
    assert (seen["status"], seen["rows"], seen["bytes_in"]) == (200, 3, str(3 * len(CSV_ROW)))
    assert seen["decode_ms"] + seen["predict_ms"] + seen["encode_ms"] <= seen["ms"]
    assert lines["refused"]["error"] == "the payload has 2 features, the model was trained on 4"


def test_the_openapi_document_fits_the_loaded_model(server):
    document = server.ask("GET", "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    body = document["paths"]["/invocations"]["post"]["requestBody"]
    assert body["description"] == "rows of 4 features"
    assert server.post(body["content"]["text/csv"]["example"]).status == 200
    example = json.dumps(body["content"]["application/json"]["example"])
    assert server.post(example, "application/json").status == 200


def test_there_are_no_metrics_unless_asked_for(server):
    assert server.ask("GET", "/metrics").status == 404
