"""How commands print: tables, progress, complaints."""

from collections.abc import Callable, Sequence

import typer


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def progress(is_terminal: bool) -> Callable[[str], None]:
    """Returns what shows what is being done: on a terminal in a line on standard error that is written over."""
    if not is_terminal:
        return lambda _what: None

    def show(what: str) -> None:
        typer.echo(f"\r\x1b[K{what}", nl=False, err=True)

    return show


def complain(text: str) -> None:
    typer.echo(f"schoolgate: {text}", err=True)
