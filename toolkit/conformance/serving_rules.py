"""What SageMaker expects of a container that serves, one `check_*` function for each rule."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from toolkit.conformance import client
from toolkit.conformance.client import INVOCATION_SECONDS, PING_SECONDS, Answer, Unanswered
from toolkit.conformance.processes import told
from toolkit.conformance.samples import JUNK, Body
from toolkit.conformance.servers import Server
from toolkit.conformance.targets import Confined
from toolkit.conformance.trial import NO_BODY, Trial
from toolkit.conformance.verdicts import Failed, NotApplicable, expect

AT_ONCE = 32
MINI_BATCH_BYTES = 6 * 2**20  # batch transform's MaxPayloadInMB where a job names none
LARGEST_BYTES = 100 * 2**20  # and the most that a job may name
PIECE_BYTES = 2**20
PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}


def check_server_starts(trial: Trial) -> str:
    """After `serve`, GET /ping answers 200 within eight minutes."""
    server = trial.start_server()
    return f"200 on port {server.port} after {server.seconds:.2f} s"


def check_ping_is_quick(trial: Trial) -> str:
    """Each GET /ping is answered with 200 within two seconds."""
    answers = [_pinged(trial.server) for _ in range(5)]
    return f"5 of 5, the slowest in {1000 * max(answer.seconds for answer in answers):.0f} ms"


def check_each_content_type_is_answered(trial: Trial) -> str:
    """POST /invocations answers 200 with a body and its content type, for each sample body."""
    trial.must_serve()
    if not trial.sample.bodies:
        raise NotApplicable(NO_BODY)
    seen = []
    for body in trial.sample.bodies:
        answer = _invoked(trial.server, body)
        _expect_answer(answer, body)
        seen.append(f"{body.content_type} in {1000 * answer.seconds:.0f} ms")
    return f"200 to {', '.join(seen)}"


def check_content_type_is_a_media_type(trial: Trial) -> str:
    """A content type in other case and with a charset parameter means the same."""
    body = trial.answered[0]
    spelled = f"{body.content_type.upper()}; charset=utf-8"
    answer = _invoked(trial.server, Body(body.content, spelled))
    expect(answer.status == 200, f"{spelled!r}: {answer}")
    return f"{spelled!r}: {answer}"


def check_any_accept_is_default(trial: Trial) -> str:
    """`Accept: */*`, which the SDK sends, gives what no Accept header gives."""
    body = trial.answered[0]
    plain = _invoked(trial.server, body)
    answer = _invoked(trial.server, body, accept="*/*")
    same = (answer.status, answer.content_type) == (plain.status, plain.content_type)
    expect(same, f"without the header {plain}; with it {answer}")
    return str(answer)


def check_unknown_content_type_is_refused(trial: Trial) -> str:
    """A content type that cannot be known is refused with a 4xx status, best 415."""
    return _refused(trial, Body(trial.answered[0].content, "application/x-byoa-unknown"))


def check_empty_body_is_refused(trial: Trial) -> str:
    """An empty body is refused with a 4xx status."""
    return _refused(trial, Body(b"", trial.answered[0].content_type))


def check_bad_body_is_refused(trial: Trial) -> str:
    """A body that is not what its content type promises is refused with a 4xx status."""
    return "; ".join(_refused(trial, Body(JUNK, body.content_type)) for body in trial.answered)


def check_refusal_says_why(trial: Trial) -> str:
    """A refused request is told why, in a body that is no HTML page."""
    answer = _invoked(trial.server, Body(JUNK, trial.answered[0].content_type))
    if answer.status < 400:
        raise NotApplicable("the bad body was not refused")
    text = answer.body.decode(errors="replace").strip()
    expect(bool(text), f"{answer.status} with an empty body")
    expect(not text.lower().startswith(("<!doctype", "<html")), f"{answer.status} with an HTML page")
    return repr(text if len(text) <= 100 else f"{text[:97]}...")


def check_mini_batch_of_6_mb_is_answered(trial: Trial) -> str:
    """A body of six megabytes, batch transform's mini-batch unless a job says otherwise, is answered."""
    body = next((body for body in trial.answered if body.is_lines()), None)
    if body is None:
        raise NotApplicable("no sample body can grow by repeating its lines")
    answer = _invoked(trial.server, Body(body.grown(MINI_BATCH_BYTES), body.content_type))
    expect(answer.status == 200, f"{answer}: {_start(answer)}")
    return str(answer)


def check_oversized_body_does_no_harm(trial: Trial) -> str:
    """A body over 100 MB, more than SageMaker ever sends, is answered or refused, and the server lives on."""
    body, server = trial.answered[0], trial.server
    block = body.grown(PIECE_BYTES) or body.content
    n_pieces = LARGEST_BYTES // len(block) + 1
    size = f"{n_pieces * len(block):,} bytes"
    headers = {"Content-Type": body.content_type, "Content-Length": str(n_pieces * len(block))}
    try:
        answer = client.ask(server.port, "POST", "/invocations", (block for _ in range(n_pieces)), headers)
    except Unanswered as reason:
        raise Failed(f"{size}: no answer, {reason}") from reason
    expect(answer.status < 500, f"{size}: {answer}")
    _expect_alive(server, body, f"after {answer.status} to {size}")
    return f"{size}: {answer.status} in {answer.seconds:.2f} s"


def check_cut_off_body_does_no_harm(trial: Trial) -> str:
    """A client that hangs up in the middle of its body leaves a server that answers the next one."""
    body, server = trial.answered[0], trial.server
    for _ in range(5):
        client.cut_off(server.port, body.content, body.content_type)
    _expect_alive(server, body, "after 5 bodies that were cut off")
    return "5 bodies cut off, the next one answered"


def check_32_at_once_are_answered(trial: Trial) -> str:
    """32 requests at once are all answered as each alone, and /ping within two seconds meanwhile."""
    body, server = trial.answered[0], trial.server
    alone = {_invoked(server, body).body for _ in range(2)}
    answers, slowest_ping = _all_at_once(server, body)
    statuses = sorted({answer.status for answer in answers})
    expect(statuses == [200], f"statuses {', '.join(map(str, statuses))}")
    others = sum(answer.body not in alone for answer in answers) if len(alone) == 1 else 0
    expect(not others, f"{others} of {AT_ONCE} answers differ from the answer to the same request alone")
    slowest = max(answer.seconds for answer in answers)
    return f"the slowest in {slowest:.2f} s, /ping meanwhile in {1000 * slowest_ping:.0f} ms"


def check_execution_parameters_are_right(trial: Trial) -> str:
    """GET /execution-parameters, where there is one, is a JSON object of batch transform's three settings."""
    answer = _asked(trial.server, "/execution-parameters")
    if answer.status in (404, 405, 501):
        raise NotApplicable(f"the server has none ({answer.status}); batch transform then uses its defaults")
    expect(answer.status == 200, str(answer))
    wrong = _wrong_parameters(answer.body)
    expect(not wrong, f"{wrong}: {_start(answer)}")
    return _start(answer)


def check_port_can_be_told(trial: Trial) -> str:
    """The server listens on the port that SAGEMAKER_BIND_TO_PORT names."""
    trial.must_serve()
    port = client.free_port()
    with trial.another_server(port) as server:
        return f"200 on port {port} after {server.seconds:.2f} s"


def check_model_may_be_read_only(trial: Trial) -> str:
    """The server works on a read-only model folder, as endpoints have it."""
    trial.must_allow(Confined.MODEL, "serve")
    body = trial.answered[0]
    with trial.another_server(confined={Confined.MODEL}) as server:
        answer = _invoked(server, body)
    expect(answer.status == 200, str(answer))
    return str(answer)


def check_server_stops_on_sigterm(trial: Trial) -> str:
    """SIGTERM ends the server within 30 seconds, by a handler of the program's own."""
    trial.must_serve()
    with trial.another_server() as server:
        run, asked = server.running, server.running.seconds
        run.terminate()
        status = run.wait(trial.patience.stop_serving)
        after = f"{run.seconds - asked:.1f} s after SIGTERM"
        expect(status is not None, f"still running {after}; SageMaker would kill it and the requests in it")
        expect(
            (status or 0) >= 0, f"{told(status)} {after}: no handler; as process 1 of a container it would not notice"
        )
        expect(not run.left_behind(), f"{told(status)} {after}, but processes that it started still run")
    return f"{told(status)} {after}"


def _pinged(server: Server) -> Answer:
    try:
        answer = client.ping(server.port)
    except Unanswered as reason:
        raise Failed(f"/ping got no answer within {PING_SECONDS} s: {reason}") from reason
    expect(answer.status == 200, f"/ping answered {answer}")
    return answer


def _invoked(server: Server, body: Body, accept: str | None = None) -> Answer:
    try:
        return client.invoke(server.port, body.content, body.content_type, accept)
    except Unanswered as reason:
        raise Failed(
            f"/invocations with {body.content_type!r} got no answer within {INVOCATION_SECONDS} s: {reason}"
        ) from reason


def _all_at_once(server: Server, body: Body) -> tuple[list[Answer], float]:
    """The answers to AT_ONCE requests, and the slowest /ping until the last of them, in seconds."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = [pool.submit(_invoked, server, body) for _ in range(AT_ONCE)]
        pings = [_pinged(server)]
        while not all(one.done() for one in pending):
            pings.append(_pinged(server))
        return [one.result() for one in pending], max(ping.seconds for ping in pings)


def _asked(server: Server, path: str) -> Answer:
    try:
        return client.ask(server.port, "GET", path)
    except Unanswered as reason:
        raise Failed(f"{path} got no answer: {reason}") from reason


def _expect_answer(answer: Answer, body: Body) -> None:
    expect(answer.status == 200, f"{body.content_type}: {answer}: {_start(answer)}")
    expect(bool(answer.body), f"{body.content_type}: 200 with an empty body")
    expect(bool(answer.content_type), f"{body.content_type}: 200 without a Content-Type header")


def _refused(trial: Trial, body: Body) -> str:
    answer = _invoked(trial.server, body)
    seen = f"{body.content_type}: {answer.status}"
    expect(400 <= answer.status < 500, f"{seen}: {_start(answer)}")
    return seen


def _expect_alive(server: Server, body: Body, when: str) -> None:
    """Raises Failed unless the server pings and answers."""
    expect(server.running.status is None, f"the server ended with {told(server.running.status)} {when}")
    _pinged(server)
    answer = _invoked(server, body)
    expect(answer.status == 200, f"{answer} {when}")


def _wrong_parameters(body: bytes) -> str:
    try:
        parameters = json.loads(body)
    except ValueError:
        return "not JSON"
    if not isinstance(parameters, dict):
        return "not a JSON object"
    wrong = [name for name, kind in PARAMETERS.items() if name in parameters and not isinstance(parameters[name], kind)]
    if parameters.get("BatchStrategy", "MULTI_RECORD") not in ("MULTI_RECORD", "SINGLE_RECORD"):
        wrong.append("BatchStrategy")
    return f"wrong {', '.join(wrong)}" if wrong else ""


def _start(answer: Answer) -> str:
    text = answer.body.decode(errors="replace").strip()
    return text if len(text) <= 100 else f"{text[:97]}..."
