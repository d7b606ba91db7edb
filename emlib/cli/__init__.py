"""The `emlib` command: one module a subcommand, each with HELP, EXAMPLE, ``arguments(parser)`` and ``run(options)``.

A subcommand returns its exit status: 0 if it did what was asked. Bad input is a sentence on standard error and status
2; a traceback is a bug.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from .. import __version__

COMMANDS = ("doctor", "exercises", "grade", "gradescope-zip", "motifs", "phase", "quant")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 if it did what was asked.

    Examples
    --------
    ``emlib doctor`` on the command line, or ``main(["doctor"])``.
    """
    parser = argparse.ArgumentParser(
        prog="emlib",
        description="EM for computational biology.",
        epilog="example: emlib doctor. EMLIB_DEBUG=1 shows the traceback behind an error.",
    )
    parser.add_argument("--version", action="version", version=f"emlib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
        sub = commands.add_parser(
            name, help=module.HELP, description=_sentence(module.HELP), epilog=f"example: {module.EXAMPLE}"
        )
        module.arguments(sub)
        sub.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # `emlib exercises list | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains once more at its end
        return 141
    except (ValueError, OSError) as error:
        if os.environ.get("EMLIB_DEBUG"):
            raise
        print(f"emlib {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"emlib {options.command}: stopped", file=sys.stderr)
        return 130
    return status


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
