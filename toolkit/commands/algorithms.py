"""`byoa algorithms`: the installed plugins, and what each can be told."""

from __future__ import annotations

import click
from pydantic.fields import FieldInfo

from toolkit.algorithm import find, installed
from toolkit.hyperparameters import describe


@click.command()
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the installed algorithms; with NAME, show its hyperparameters, channels and what it learns.

    \b
    byoa algorithms
    byoa algorithms kmeans
    """
    if name:
        _show(find(name))
        return
    for point in installed():
        click.echo(f"{point.name:<12} {_first_line(point.load())}")


def _show(plugin: type) -> None:
    click.echo(f"{plugin.name}: {_first_line(plugin)}\n\nHyperparameters:")
    for name, field in plugin.Hyperparameters.model_fields.items():
        click.echo(f"  {name}: {describe(field)}; {_default(field)}")
        if field.description:
            click.echo(
                click.wrap_text(field.description, width=100, initial_indent="      ", subsequent_indent="      ")
            )
    click.echo("\nChannels:")
    for channel in plugin.channels:
        click.echo(
            f"  {channel.name}: {'required' if channel.required else 'optional'}, {channel.content_type} by default"
        )
    click.echo(f"\nLearns: {', '.join(plugin.arrays)}")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "optional" if field.default is None else f"default {field.default!r}"


def _first_line(plugin: type) -> str:
    return (plugin.__doc__ or "").strip().partition("\n")[0]
