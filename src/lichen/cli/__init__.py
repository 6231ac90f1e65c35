"""The command line: parse, call the project, print."""

from __future__ import annotations


def main() -> None:
    """The `lichen` command."""
    from lichen.cli.verbs import run_command

    run_command()
