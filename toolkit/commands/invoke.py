"""`byoa invoke`: a file sent to a running server."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from pathlib import Path

import click

from toolkit.errors import BadOption, UserError
from toolkit.files import GZIP
from toolkit.formats.endings import content_type_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Address of the server.")
@click.option("--content-type", help="Content type of FILE; without it the file's ending says.")
@click.option("--accept", default="*/*", show_default=True, help="Content type of the answer.")
def command(file: Path, url: str, content_type: str | None, accept: str) -> None:
    """Send FILE to the server's /invocations and print the answer.

    \b
    byoa invoke data.csv
    byoa invoke data.json --url http://127.0.0.1:8081 --accept application/jsonlines
    """
    if not file.is_file():
        raise BadOption(f"no file {file}")
    content_type = content_type or content_type_of(file)
    if not content_type:
        raise BadOption(f"the ending of {file} tells no content type; name it with --content-type")
    if not url.startswith(("http://", "https://")):
        raise BadOption(f"option --url must be an address such as http://127.0.0.1:8080; got {url!r}")
    headers = {"Content-Type": content_type, "Accept": accept}
    body = file.read_bytes()
    if body.startswith(GZIP):  # a server takes a body as it is
        body = gzip.decompress(body)
    click.get_binary_stream("stdout").write(
        _send(urllib.request.Request(f"{url.rstrip('/')}/invocations", body, headers))
    )


def _send(request: urllib.request.Request) -> bytes:
    try:
        with urllib.request.urlopen(request, timeout=70) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        raise UserError(f"the server answered {error.code}: {error.read().decode(errors='replace').strip()}") from error
    except urllib.error.URLError as error:
        raise UserError(
            f"no server answers at {request.full_url}: {error.reason}; start one with byoa serve"
        ) from error
