"""gunicorn, configured for a container: it writes only to the standard streams and to memory, and asks for no user."""

from __future__ import annotations

import socket

from flask import Flask
from gunicorn.app.base import BaseApplication

from toolkit import machine
from toolkit.environment import ServerSettings
from toolkit.serving.board import Board

DRAIN_SECONDS = 25  # SageMaker kills 30 s after SIGTERM
SPARE_SLOTS = 8  # of the board, for workers that have ended and are not yet counted out


class Server(BaseApplication):
    """A Flask application behind gunicorn; its arbiter loads nothing again, the workers are forks."""

    def __init__(self, app: Flask, settings: ServerSettings, listener: socket.socket):
        self.app = app
        self.settings = settings
        self.listener = listener
        self.board = Board(settings.workers.value + SPARE_SLOTS)
        super().__init__()

    def load(self) -> Flask:
        """The WSGI application."""
        return self.app

    def load_config(self) -> None:
        """Sets gunicorn's options; its files, variables and command line are not read."""
        options = {
            "bind": f"fd://{self.listener.detach()}",
            "workers": self.settings.workers.value,
            "worker_class": "toolkit.serving.worker.ThreadPerConnection",
            "preload_app": True,
            "timeout": self.settings.timeout.value + 30,  # without a sign of life from the main thread
            "graceful_timeout": DRAIN_SECONDS,
            "child_exit": lambda arbiter, worker: self.board.give_back(worker.slot),
            "proc_name": "serve",
            "forwarded_allow_ips": "",  # nobody in front may rename the path
            "control_socket_disable": True,
            "loglevel": "warning",
        }
        for name, value in options.items():
            if name in self.cfg.settings:  # gunicorn before 25.1 has no control socket to disable
                self.cfg.set(name, value)
        self.cfg.set("worker_tmp_dir", machine.shared_memory())
