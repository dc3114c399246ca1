"""`kineo models`: which there are, and what each can do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from kineograph import catalog
from kineograph.cli.output import print_json

app = App(help="List the models, or show one.")


@app.default
def list_models(*, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the models.

    Parameters
    ----------
    json
        Print one JSON object for each model.
    """
    for description in map(catalog.describe, catalog.names()):
        if json:
            print_json(asdict(description))
        else:
            print(_summary(description))


@app.command
def show(name: str, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Show one model: its abilities, its vocabulary and its card.

    Parameters
    ----------
    name
        A model's name or its folder.
    json
        Print one JSON object.
    """
    description = catalog.describe(name)
    if json:
        print_json(asdict(description))
        return
    print(_summary(description))
    print(f"steps {description.steps}, guidance {description.guidance:g}, {description.megabytes:.1f} MB")
    if description.text_length is not None:
        print(f"reads {description.text_length} words of a prompt")
    if description.vocabulary:
        print(f"vocabulary: {' '.join(description.vocabulary)}")
    if description.card:
        print(f"\n{description.card.strip()}")


def _summary(description: catalog.Description) -> str:
    size = f"{description.width}x{description.height}, {description.window} frames at {description.fps:g} fps"
    return f"{description.name}: {description.family}, {size}; {', '.join(description.abilities)}"
