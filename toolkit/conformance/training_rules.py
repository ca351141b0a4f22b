"""What SageMaker expects of a container that trains, one `check_*` function for each rule."""

from __future__ import annotations

from toolkit.conformance.opt_ml import OptMl
from toolkit.conformance.processes import Running, told
from toolkit.conformance.targets import Confined
from toolkit.conformance.trial import Training, Trial
from toolkit.conformance.verdicts import Failed, NotApplicable, expect

SHOWN = 1024  # characters of output/failure that become FailureReason


def check_good_input_trains(trial: Trial) -> str:
    """Training on good input ends with exit status 0."""
    run = trial.trained
    expect(run.status == 0, f"{run}{_reason(run)}")
    return str(run)


def check_model_is_written(trial: Trial) -> str:
    """The model lies in /opt/ml/model, in regular files that an archive can carry."""
    files = trial.well_trained.tree.model_files()
    expect(bool(files), "the model folder is empty")
    odd = [path.name for path in files if path.is_symlink() or not path.is_file()]
    expect(not odd, f"not regular files: {', '.join(odd)}")
    return f"{len(files)} file{'s' * (len(files) != 1)}, {sum(path.stat().st_size for path in files):,} bytes"


def check_success_leaves_no_failure_file(trial: Trial) -> str:
    """A training that succeeds leaves no /opt/ml/output/failure."""
    failure = trial.well_trained.tree.failure
    expect(failure is None, f"exit status 0, yet the file says {_short(failure or '')!r}")
    return "no file"


def check_input_is_left_alone(trial: Trial) -> str:
    """Training changes nothing below /opt/ml/input, which FastFile mode mounts read-only."""
    expect(not trial.well_trained.input_changed, "files below /opt/ml/input were changed, added or removed")
    return "the same files with the same contents"


def check_undocumented_files_are_passed_over(trial: Trial) -> str:
    """A manifest beside the channel's folder and further files in input/config do not disturb training."""
    trial.must_train()
    run = trial.train(trial.sample.files, undocumented=True)
    expect(run.status == 0, f"{run}{_reason(run)}")
    return str(run)


def check_bad_input_fails(trial: Trial) -> str:
    """Training on files that hold no data ends by itself, with an exit status other than 0."""
    trial.must_train()
    return _must_fail(trial.refused)


def check_empty_channel_fails(trial: Trial) -> str:
    """Training on a channel without files ends by itself, with an exit status other than 0."""
    trial.must_train()
    return _must_fail(trial.train({}))


def check_bad_hyperparameter_fails(trial: Trial) -> str:
    """A hyperparameter's value that cannot be ends training with an exit status other than 0."""
    trial.must_train()
    if trial.sample.bad_hyperparameters is None:
        raise NotApplicable("no value is known that the program must refuse")
    return _must_fail(trial.train(trial.sample.files, trial.sample.bad_hyperparameters))


def check_failure_file_says_why(trial: Trial) -> str:
    """A training that fails writes the reason to /opt/ml/output/failure."""
    failure = _failed(trial).tree.failure
    expect(failure is not None, f"{trial.refused}, and no file output/failure")
    expect(bool((failure or "").strip()), f"{trial.refused}, and output/failure is empty")
    return repr(_short(failure or ""))


def check_reason_comes_first(trial: Trial) -> str:
    """The reason is within the first 1,024 characters of /opt/ml/output/failure, all that SageMaker shows."""
    failure = (_failed(trial).tree.failure or "").strip()
    if not failure:
        raise NotApplicable("there is no failure text")
    cut = failure.startswith("Traceback") and len(failure) > SHOWN
    expect(not cut, f"a trace of {len(failure):,} characters, whose last line, the reason, is cut off")
    return f"the whole text has {len(failure):,} characters"


def check_training_needs_no_network(trial: Trial) -> str:
    """Training works without a network, as jobs with network isolation have it."""
    trial.must_allow(Confined.NETWORK, "train")
    trial.must_train()
    run = trial.train(trial.sample.files, confined={Confined.NETWORK})
    expect(run.status == 0, f"{run}{_reason(run)}")
    return str(run)


def check_training_stops_on_sigterm(trial: Trial) -> str:
    """SIGTERM ends training within 120 seconds, by a handler of the program's own."""
    usual = trial.well_trained.seconds
    # late for a program that reads its data, which now lasts much longer than usual; earlier for one that does not
    for moment in (3 * usual + 0.5, 1.5 * usual + 0.3, 1.2 * usual, 0.6 * usual):
        with trial.long_training() as (tree, run):
            if run.wait(moment) is None and (seen := _stopped(trial, tree, run, moment > min(1.4 * usual, 3))):
                return seen
    raise NotApplicable(f"training ends too soon to be stopped, {trial.trained}; give more --train-data")


def _stopped(trial: Trial, tree: OptMl, run: Running, has_begun: bool) -> str | None:
    """What a run did on SIGTERM; None where it died of it and may not have come to its handler yet."""
    asked = run.seconds
    run.terminate()
    status = run.wait(trial.patience.stop_training)
    after = f"{run.seconds - asked:.1f} s after SIGTERM"
    expect(status is not None, f"still running {after}; SageMaker would kill it and what it had not yet saved")
    if (status or 0) < 0 and not has_begun:
        return None
    expect((status or 0) >= 0, f"{told(status)} {after}: no handler; as process 1 of a container it would not notice")
    expect(not run.left_behind(), f"{told(status)} {after}, but processes that it started still run")
    n_files = len(tree.model_files())
    return f"{told(status)} {after}, {n_files or 'no'} model file{'s' * (n_files != 1)} saved"


def _failed(trial: Trial) -> Training:
    if trial.refused.status in (0, None):
        raise NotApplicable("training on bad input did not fail")
    return trial.refused


def _must_fail(run: Training) -> str:
    if run.status in (0, None):
        raise Failed(str(run))
    return f"{run}{_reason(run)}"


def _reason(run: Training) -> str:
    return f"; output/failure says {_short(run.tree.failure)!r}" if run.tree.failure else ""


def _short(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 100 else f"{line[:97]}..."
