"""`byoa doctor`: what the commands need, what of it this machine has, and how to get the rest."""

from __future__ import annotations

import sys

import click

from toolkit.conformance import needs


@click.command()
def command() -> None:
    """Show for each command what is missing on this machine, and how to get it.

    \b
    byoa doctor

    The exit status is 0 unless something is missing that every command needs.
    """
    findings = list(needs.look())
    width = max(len(finding.commands) for finding in findings)
    for finding in findings:
        mark = click.style("there  ", fg="green") if finding.is_there else click.style("missing", fg="yellow")
        click.echo(f"{finding.commands:<{width}}  {mark}  {finding.text}")
    sys.exit(int(any(finding.commands == needs.CORE and not finding.is_there for finding in findings)))
