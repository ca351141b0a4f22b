"""`byoa convert`: rows in one data format as rows in another."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit import channels
from toolkit.dataset import Dataset
from toolkit.environment import Input
from toolkit.errors import BadChannel, BadOption, BadPayload
from toolkit.files import data_files
from toolkit.formats import table
from toolkit.formats.endings import content_type_of

ROWS_BYTES = 4_000_000  # of float32 features written at a time


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--from", "from_type", metavar="TYPE", help="Content type of IN; without it the file's ending says.")
@click.option("--to", "to_type", metavar="TYPE", help="Content type of OUT; without it the file's ending says.")
@click.option("--feature-dim", type=click.IntRange(1), help="Width of libsvm rows; without it the widest one says.")
@click.option("--without-labels", is_flag=True, help="Leave out the labels of IN.")
def command(source, target, from_type, to_type, feature_dim, without_labels) -> None:
    """Convert the rows in IN, a file or a folder of files, to another data format and write them to OUT.

    \b
    byoa convert train.csv train.recordio --from 'text/csv;label_size=1'
    byoa convert digits.npy digits.libsvm --to 'text/libsvm;index_base=0'
    byoa convert data/ data.jsonl --from application/x-parquet --without-labels

    Leading columns are features unless 'label_size' says that they are labels. Files are read and written a few
    megabytes at a time; gzip is recognised. OUT appears when it is whole.

    Read: text/csv, application/json, application/jsonlines, application/x-recordio-protobuf, text/libsvm,
    application/x-npy, application/x-parquet. All but the last are written.
    """
    channel = Input("IN", source, from_type or _known(source, "--from"))
    to_type = to_type or _known(target, "--to")
    files = data_files(source)
    if target.resolve() in {path.resolve() for path in files}:
        raise BadOption(f"{target} must be another file than those that are read; it is one of them")
    length = sum(path.stat().st_size for path in files)
    with click.progressbar(length=length, label=f"{source} -> {target}") as bar:
        batches = channels.mini_batches(channel, _rows_per_batch, 0, n_features=feature_dim, progress=bar.update)
        rows = (Dataset(data.X) if without_labels else data for _, data in batches)
        try:
            n_rows = table.write(rows, target, to_type)
        except BadChannel as error:
            raise BadPayload(f"{source} has no rows") from error
    click.echo(f"{target}: {n_rows} rows as {to_type}, {target.stat().st_size:,} bytes")


def _rows_per_batch(n_features: int) -> int:
    return max(1, ROWS_BYTES // (4 * n_features))


def _known(path: Path, option: str) -> str:
    """The content type that a path's ending tells. Raises BadOption where it tells none."""
    content_type = content_type_of(path)
    if content_type is None:
        raise BadOption(f"the ending of {path} tells no content type; name it with {option}")
    return content_type
