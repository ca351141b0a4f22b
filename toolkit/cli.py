"""The `byoa` program: one click command for each file in toolkit/commands, imported only when it is asked for."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from toolkit import commands
from toolkit.errors import ToolkitError


class Commands(click.Group):
    """A group whose commands are the modules of toolkit/commands."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of all commands, in the order of the alphabet."""
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name, or None."""
        if name not in self.list_commands(context):
            return None
        return importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}").command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="byoa")
def byoa() -> None:
    """Bring your own algorithm to Amazon SageMaker, and run it on this machine first.

    \b
    A first walk:
      byoa algorithms                                what is installed
      byoa train kmeans --train data.csv -p k=10 --output run
      byoa serve run/model.tar.gz --algorithm kmeans
      byoa invoke data.csv                           in another terminal
      byoa init my-algorithm                         start your own
    """


def main() -> None:
    """Runs the program; an error that one sentence explains is that sentence on standard error, and exit status 1."""
    try:
        byoa(prog_name="byoa")
    except ToolkitError as error:
        click.echo(f"byoa: {error}", err=True)
        sys.exit(1)
