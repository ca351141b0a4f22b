"""The sound program with one fault: each class overrides what it spoils.

python broken.py FAULT --opt-ml DIR train|serve
"""

import os
import signal
import sys
import time
import urllib.request
from http.server import HTTPServer

from sound import Handler, Refused, Server, Trainer, main


class NeedsALicence(Trainer):
    def train(self):
        raise FileNotFoundError("no licence file")


class SavesNothing(Trainer):
    def save(self, means):
        """Leaves the model folder empty."""


class SavesALink(Trainer):
    def save(self, means):
        (self.opt_ml / "model" / "means.json").symlink_to("/tmp/means.json")


class ReportsSuccessAsFailure(Trainer):
    def save(self, means):
        super().save(means)
        (self.opt_ml / "output" / "failure").write_text("no failure")


class CachesBesideTheInput(Trainer):
    def learn(self, rows):
        (self.channel / ".cache").write_text("")
        return super().learn(rows)

    def rows(self):
        files = sorted(path for path in self.channel.iterdir() if path.name != ".cache")
        yield from ([float(field) for field in line.split(",")] for path in files for line in path.read_text().split())


class ListsTheDataFolder(Trainer):
    def rows(self):
        for channel in (self.opt_ml / "input" / "data").iterdir():
            self.channel = channel
            yield from super().rows()


class SwallowsErrors(Trainer):
    def rows(self):
        try:
            yield from super().rows()
        except UnicodeDecodeError:
            yield [0.0]


class FailsInSilence(Trainer):
    def fail(self, error):
        sys.exit(1)


class FailsWithABlankReason(Trainer):
    def fail(self, error):
        (self.opt_ml / "output" / "failure").write_text("\n")
        sys.exit(1)


class PutsTheTraceFirst(Trainer):
    def fail(self, error):
        frames = "  File 'train.py', line 1, in train\n" * 40
        (self.opt_ml / "output" / "failure").write_text(f"Traceback (most recent call last):\n{frames}{error}")
        sys.exit(1)


class LearnsFromNothing(Trainer):
    def learn(self, rows):
        rows = list(rows)
        return super().learn(rows) if rows else []


class IgnoresHyperparameters(Trainer):
    def check_hyperparameters(self, given):
        """Takes whatever comes."""


class Downloads(Trainer):
    def train(self):
        address = os.environ["TEST_ADDRESS"]
        urllib.request.urlopen(address, timeout=5).read()
        super().train()


class WritesToTheRoot(Trainer):
    def train(self):
        with open("/root-of-the-image", "w") as file:
            file.write("scratch")
        super().train()


class ChangesOwners(Trainer):
    def save(self, means):
        super().save(means)
        os.chown(self.opt_ml / "model" / "means.json", 1, 1)


class IgnoresSigterm(Trainer):
    def stop(self, *_):
        """Goes on."""


class HasNoHandler(Trainer):
    def main(self):
        try:
            self.train()
        except Exception as error:
            self.fail(error)


class CannotImport(Server):
    def main(self):
        import a_library_that_is_not_there  # noqa: F401


class NeverReady(Handler):
    def ping(self):
        self.answer(503, {"status": "starting"})


class LoadsInTheHealthCheck(Handler):
    n_pings = 0

    def ping(self):
        type(self).n_pings += 1
        time.sleep(2.5 if self.n_pings == 2 else 0)
        super().ping()


class AnswersNothing(Handler):
    def answer(self, status, value):
        if self.path == "/invocations" and status == 200:
            self.send(200, b"", "text/plain")
        else:
            super().answer(status, value)


class HidesTheContentType(Handler):
    def answer(self, status, value):
        if self.path == "/invocations" and status == 200:
            self.send(200, b"1.0", None)
        else:
            super().answer(status, value)


class ComparesStrings(Handler):
    def check_media_type(self, content_type):
        if content_type != "text/csv":
            raise Refused(415, f"{content_type} is not text/csv")


class KnowsOneAccept(Handler):
    def check_media_type(self, content_type):
        super().check_media_type(content_type)
        if self.headers.get("Accept", "application/json") != "application/json":
            raise Refused(406, "accept must be application/json")


class ReadsAnyType(Handler):
    def check_media_type(self, content_type):
        """Takes whatever comes."""


class AnswersAnEmptyBody(Handler):
    def empty(self):
        """Goes on without rows."""


class CallsBadInputItsOwnFault(Handler):
    def unreadable(self, error):
        raise Refused(500, "internal error")


class RefusesWithAPage(Handler):
    def refuse(self, refused):
        self.close_connection = True
        self.send(refused.status, b"<!doctype html><title>400 Bad Request</title>", "text/html")


class RefusesInSilence(Handler):
    def refuse(self, refused):
        self.close_connection = True
        self.send(refused.status, b"", "text/plain")


class TakesOneMegabyte(Handler):
    def read(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > 2**20:
            raise Refused(413, "at most 1 MB")
        return super().read()


class DiesOfALargeBody(Handler):
    def too_large(self, length):
        os._exit(137)


class DiesOfACutOffBody(Handler):
    def cut_off(self):
        os._exit(1)


class RefusesWhenBusy(Handler):
    busy = False

    def predict(self, rows):
        if type(self).busy:
            raise Refused(503, "busy")
        type(self).busy = True
        time.sleep(0.02)
        type(self).busy = False
        return super().predict(rows)


class MixesRequestsUp(Handler):
    n_running = 0

    def predict(self, rows):
        type(self).n_running += 1
        time.sleep(0.02)
        answer = super().predict(rows[: 4 - min(3, self.n_running)])
        type(self).n_running -= 1
        return answer


class OneAtATime(Server):
    class handler(Handler):
        protocol_version = "HTTP/1.0"

        def predict(self, rows):
            time.sleep(0.08)
            return super().predict(rows)

    def listen(self, port):
        class Listener(HTTPServer):
            request_queue_size = 128

        return Listener(("127.0.0.1", port), self.handler)


class SpellsTheStrategyAsTheApi(Handler):
    def execution_parameters(self):
        self.answer(200, {"MaxConcurrentTransforms": 2, "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 6})


class CountsAsText(Handler):
    def execution_parameters(self):
        self.answer(200, {"MaxConcurrentTransforms": "2"})


class LocksTheModel(Server):
    def load(self):
        (self.model / ".lock").write_text("")
        return super().load()


class IgnoresThePort(Server):
    def port(self):
        return int(os.environ["TEST_PORT"])


class NeverStops(Server):
    def stop(self, *_):
        """Goes on."""


class DiesOfSigterm(Server):
    def main(self):
        signal.signal = lambda *_: None
        super().main()


class LeavesAWorker(Server):
    def main(self):
        if os.fork() == 0:
            time.sleep(30)
        super().main()


def program(fault):
    """The trainer and the server with that fault."""
    if issubclass(fault, Handler):
        return Trainer, type(fault.__name__, (Server,), {"handler": fault})
    return (fault, Server) if issubclass(fault, Trainer) else (Trainer, fault)


if __name__ == "__main__":
    main(*program(globals()[sys.argv.pop(1)]))
