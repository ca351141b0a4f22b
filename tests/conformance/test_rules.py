"""Each rule finds its fault and names it; the other rules for that program, but the slow ones, find nothing."""

import shlex
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from toolkit.conformance import rules, samples
from toolkit.conformance.client import free_port
from toolkit.conformance.rules import FAIL, NOT_APPLICABLE, PASS, Rule
from toolkit.conformance.table import RULES
from toolkit.conformance.targets import CommandTarget
from toolkit.conformance.trial import Patience, Trial
from toolkit.conformance.verdicts import expect

HERE = Path(__file__).parent
SAMPLE = samples.built_in()
PATIENCE = Patience(training=20, start_up=5, stop_training=2, stop_serving=2)
SLOW = {  # each takes long, or a server of its own; tried on the sound program, and where they are meant
    "training-stops-on-sigterm",
    "mini-batch-of-6-mb-is-answered",
    "model-may-be-read-only",
    "port-can-be-told",
    "server-stops-on-sigterm",
}
NOT_FOR_COMMANDS = {rule.name for rule in RULES if rule.about == "image"}


def command(*words):
    return shlex.join([sys.executable, *map(str, words), "--opt-ml", "{opt_ml}"])


def target(words, programs=("train", "serve"), before=""):
    return CommandTarget({program: f"{before} {command(*words)} {program}".strip() for program in programs})


def sample(**changes):
    return samples.Sample(**({**vars(SAMPLE), "bad_hyperparameters": {"rate": "fast"}} | changes))


def results(of, table=RULES, patience=PATIENCE, port=None, model=None):
    with Trial(of, sample(), port=port or free_port(), patience=patience, model=model) as trial:
        return {result.rule.name: result for result in rules.run(table, trial)}


def about(program, sought=None):
    """The rules for a program, slow ones only where they are sought."""
    return [rule for rule in RULES if rule.about == program and (rule.name == sought or rule.name not in SLOW)]


def broken(found):
    return {name: result.seen for name, result in found.items() if result.result == FAIL}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "means.json").write_text("[1, 2, 3, 4, 5, 6]")
    return folder


def test_a_sound_program_keeps_every_rule():
    found = results(target([HERE / "sound.py"]))
    assert broken(found) == {}
    passed = {name for name, result in found.items() if result.result == PASS}
    namespaces = {"training-needs-no-network", "model-may-be-read-only"}
    assert passed | namespaces == {rule.name for rule in RULES} - NOT_FOR_COMMANDS


TRAINERS = [
    ("NeedsALicence", "good-input-trains"),
    ("SavesNothing", "model-is-written"),
    ("SavesALink", "model-is-written"),
    ("ReportsSuccessAsFailure", "success-leaves-no-failure-file"),
    ("CachesBesideTheInput", "input-is-left-alone"),
    ("ListsTheDataFolder", "undocumented-files-are-passed-over"),
    ("SwallowsErrors", "bad-input-fails"),
    ("FailsInSilence", "failure-file-says-why"),
    ("FailsWithABlankReason", "failure-file-says-why"),
    ("PutsTheTraceFirst", "reason-comes-first"),
    ("LearnsFromNothing", "empty-channel-fails"),
    ("IgnoresHyperparameters", "bad-hyperparameter-fails"),
    ("HasNoHandler", "training-stops-on-sigterm"),
]


@pytest.mark.parametrize(("fault", "rule"), TRAINERS)
def test_a_fault_of_a_trainer_is_found_by_its_rule_alone(fault, rule):
    found = results(target([HERE / "broken.py", fault], ["train"]), about("train", rule))
    assert list(broken(found)) == [rule]


def test_a_trainer_that_ignores_sigterm_is_found():
    patience = Patience(training=20, stop_training=0.2)
    sought = about("train", "training-stops-on-sigterm")
    found = results(target([HERE / "broken.py", "IgnoresSigterm"], ["train"]), sought, patience)
    assert list(broken(found)) == ["training-stops-on-sigterm"]


def test_a_trainer_that_needs_the_network_is_found():
    class Download(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Download) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"env TEST_ADDRESS=http://127.0.0.1:{server.server_port}"
        downloads = target([HERE / "broken.py", "Downloads"], ["train"], address)
        found = results(downloads, about("train"))
        server.shutdown()
    if not downloads.may_unshare:
        pytest.skip("only root can take a command's network away")
    assert list(broken(found)) == ["training-needs-no-network"]


SERVERS = [
    ("CannotImport", "server-starts"),
    ("NeverReady", "server-starts"),
    ("AnswersNothing", "each-content-type-is-answered"),
    ("HidesTheContentType", "each-content-type-is-answered"),
    ("ComparesStrings", "content-type-is-a-media-type"),
    ("KnowsOneAccept", "any-accept-is-default"),
    ("ReadsAnyType", "unknown-content-type-is-refused"),
    ("AnswersAnEmptyBody", "empty-body-is-refused"),
    ("CallsBadInputItsOwnFault", "bad-body-is-refused"),
    ("RefusesWithAPage", "refusal-says-why"),
    ("RefusesInSilence", "refusal-says-why"),
    ("TakesOneMegabyte", "mini-batch-of-6-mb-is-answered"),
    ("DiesOfALargeBody", "oversized-body-does-no-harm"),
    ("DiesOfACutOffBody", "cut-off-body-does-no-harm"),
    ("RefusesWhenBusy", "32-at-once-are-answered"),
    ("MixesRequestsUp", "32-at-once-are-answered"),
    ("OneAtATime", "32-at-once-are-answered"),
    ("SpellsTheStrategyAsTheApi", "execution-parameters-are-right"),
    ("CountsAsText", "execution-parameters-are-right"),
    ("LocksTheModel", "model-may-be-read-only"),
    ("NeverStops", "server-stops-on-sigterm"),
    ("DiesOfSigterm", "server-stops-on-sigterm"),
    ("LeavesAWorker", "server-stops-on-sigterm"),
]


@pytest.mark.parametrize(("fault", "rule"), SERVERS)
def test_a_fault_of_a_server_is_found_by_its_rule_alone(fault, rule, model):
    served = target([HERE / "broken.py", fault], ["serve"])
    patience = Patience(start_up=1.0 if fault == "NeverReady" else 5, stop_serving=1)
    found = results(served, about("serve", rule), patience, model=model)
    if rule == "model-may-be-read-only" and not served.may_unshare:
        pytest.skip("only root can make a command's model read-only")
    assert list(broken(found)) == [rule]


def test_a_slow_health_check_is_found(model):
    table = [rule for rule in RULES if rule.name == "ping-is-quick"]
    found = results(target([HERE / "broken.py", "LoadsInTheHealthCheck"], ["serve"]), table, model=model)
    assert broken(found)["ping-is-quick"].startswith("/ping got no answer within 2 s: TimeoutError after 2.0 s")


def test_a_server_that_ignores_the_port_is_found(model):
    port = free_port()
    served = target([HERE / "broken.py", "IgnoresThePort"], ["serve"], f"env TEST_PORT={port}")
    found = results(served, about("serve", "port-can-be-told"), Patience(start_up=1), port, model)
    assert list(broken(found)) == ["port-can-be-told"]


def test_every_rule_has_a_fault_that_it_finds():
    alone = {"training-needs-no-network", "ping-is-quick", "port-can-be-told"}
    planted = {rule for _, rule in TRAINERS + SERVERS} | alone
    assert planted | NOT_FOR_COMMANDS == {rule.name for rule in RULES}


def test_where_the_server_does_not_start_the_other_rules_do_not_apply(model):
    found = results(target([HERE / "broken.py", "CannotImport"], ["serve"]), about("serve"), model=model)
    starts = found.pop("server-starts")
    assert "No module named 'a_library_that_is_not_there'" in starts.log
    assert {result.result for result in found.values()} == {NOT_APPLICABLE}
    assert found["ping-is-quick"].seen == "the server does not start"


def test_where_training_fails_nothing_is_served():
    found = results(target([HERE / "broken.py", "NeedsALicence"]))
    assert list(broken(found)) == ["good-input-trains"]
    assert found["server-starts"].seen == "training on good input failed"


def check_model_is_small(trial):
    """The model has at most 100 bytes.

    Budgets of our own are rules like any other.
    """
    n_bytes = sum(path.stat().st_size for path in trial.well_trained.tree.model_files())
    expect(n_bytes <= 100, f"{n_bytes} bytes")
    return f"{n_bytes} bytes"


def test_a_rule_of_ones_own_runs_beside_the_others():
    own = Rule(check_model_is_small, "train", "our budget", "round the means")
    assert (own.name, own.sentence) == ("model-is-small", "The model has at most 100 bytes")
    found = results(target([HERE / "sound.py"], ["train"]), [*about("train"), own])
    assert broken(found) == {"model-is-small": "110 bytes"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_tells_what_it_asks_where_that_stands_and_what_to_do(rule):
    assert rule.sentence
    assert rule.source
    assert rule.to_do
    assert rule.check.__name__.startswith("check_")
