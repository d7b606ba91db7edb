"""A report in words: as text for a terminal, as HTML for a notebook. Everything a student wrote is escaped."""

from __future__ import annotations

import html
import textwrap

from .evaluate import Report, Result

WIDTH = 96
TRACEBACK_LINES = 8  # a message fits a screen

# Blue and orange, told apart by everybody, and never by colour alone: ✓ and ✗ stand beside.
GOOD, BAD = "#0b63a5", "#b34700"


def as_text(report: Report) -> str:
    """The report for a terminal.

    Examples
    --------
    >>> print(as_text(Report("t.f", (Result("a mean", 2, 0, "few", "mean is not right", "mean should be 1, is 2"),))))
    t.f: 0 of 2 points
      ✗ a mean (0 of 2)
          mean is not right
          case 'few': mean should be 1, is 2
      hint("t.f") gives a hint, case("t.f", "few") the inputs.
    """
    if report.unwritten:
        return f"{report.id}: {_unwritten(report)}"
    lines = [headline(report)]
    for result, said in zip(report.results, _all_said(report), strict=True):
        lines.append(f"  {_mark(result)[0]} {result.title} ({result.earned} of {result.points})")
        lines += [line for words in said for line in _wrapped(words, "      ")]
    for why in report.why:
        lines += _wrapped(f"This is a known slip: {why}", "  ")
    for remark in report.remarks:
        lines += _wrapped(f"By the way: {remark}", "  ")
    if report.printed:
        lines += ["  Your function printed:", textwrap.indent(report.printed.rstrip(), "    | ", lambda line: True)]
    if report.detail:
        lines += [textwrap.indent(_last(report.detail), "    ")]
    if not report.passed:
        lines.append(f"  {_next(report)}")
    return "\n".join(lines)


def as_html(report: Report) -> str:
    """The report for a notebook: the same words in the same order."""
    colour = GOOD if report.passed else BAD
    if report.unwritten:
        body = f"<p><strong>{html.escape(report.id)}</strong>: {html.escape(_unwritten(report))}</p>"
        return _box(body, "#777", report)
    items = "".join(map(_item, report.results, _all_said(report)))
    parts = [f"<p><strong>{html.escape(headline(report))}</strong></p>", f"<ul style='list-style:none'>{items}</ul>"]
    parts += [f"<p><strong>This is a known slip.</strong> {html.escape(why)}</p>" for why in report.why]
    parts += [f"<p>By the way: {html.escape(remark)}</p>" for remark in report.remarks]
    if report.printed:
        parts.append(f"<p>Your function printed:</p><pre>{html.escape(report.printed)}</pre>")
    if report.detail:
        parts.append(f"<pre>{html.escape(_last(report.detail))}</pre>")
    if not report.passed:
        parts.append(f"<p>{html.escape(_next(report))}</p>")
    return _box("".join(parts), colour, report)


def headline(report: Report) -> str:
    """How many points of how many."""
    of = f"{report.earned} of {report.points} points"
    return f"{report.id}: all {report.points} points" if report.passed else f"{report.id}: {of}"


def _next(report: Report) -> str:
    """What to do now."""
    failed = next(result.case for result in report.results if not result.passed)
    return f'hint("{report.id}") gives a hint, case("{report.id}", "{failed}") the inputs.'


def _unwritten(report: Report) -> str:
    problem = report.results[0].problem if report.results else "not written yet"
    if problem == "not written yet":
        return "not written yet. Put your code in place of the line with raise, and run both cells again."
    return f"{problem}."


def _all_said(report: Report) -> list[list[str]]:
    """What to say below each check; a sentence that was said already is not said again."""
    said: list[list[str]] = []
    heard: set[str] = set()
    for result in report.results:
        if result.passed:
            said.append([result.numbers] if result.numbers else [])
        elif result.problem in heard and not result.earned:
            said.append([f"case {result.case!r}: the same"])
        else:
            said.append(
                [
                    result.problem,
                    f"case {result.case!r}: {result.numbers}" if result.numbers else f"in case {result.case!r}",
                ]
            )
        heard.add(result.problem)
    return said


def _item(result: Result, said: list[str]) -> str:
    sign, word = _mark(result)
    mark = f"<span style='color:{GOOD if result.passed else BAD}'>{sign}</span>"
    title = f"{mark} <span class='visually-hidden'>{word}: </span>{html.escape(result.title)}"
    lines = "".join(f"<br>{html.escape(line)}" for line in said)
    return f"<li>{title} ({result.earned} of {result.points}){lines}</li>"


def _mark(result: Result) -> tuple[str, str]:
    """A sign, and the word for it."""
    return ("✓", "passed") if result.passed else ("◐", "passed in part") if result.earned else ("✗", "failed")


def _box(body: str, colour: str, report: Report) -> str:
    # Seen by eyes only where the page has no such class: a rule for notebooks.
    hidden = (
        "<style>.em-check "
        ".visually-hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}</style>"
    )
    return (
        f"<section class='em-check' aria-label='{html.escape(headline(report), quote=True)}' "
        f"style='border-left:4px solid {colour};padding:0.1em 1em'>{hidden}{body}</section>"
    )


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _last(detail: str) -> str:
    lines = detail.rstrip().splitlines()
    kept = lines[-TRACEBACK_LINES:]
    return "\n".join(["…", *kept] if len(kept) < len(lines) else kept)
