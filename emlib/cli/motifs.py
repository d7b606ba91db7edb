"""``emlib motifs in.fa -o out/``: motifs of a FASTA file, as a report and in the formats of other tools."""

from __future__ import annotations

import argparse
import html
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HELP = "find motifs in DNA sequences"
EXAMPLE = "emlib motifs peaks.fa -o out/ --width 6 20 --motifs 3"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where the sequences are, where the report goes, and what a motif may look like."""
    parser.add_argument("sequences", type=Path, help="FASTA or FASTQ, gzipped or not")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="of the report; it must not exist yet"
    )
    parser.add_argument(
        "--width", nargs="+", type=int, default=[6, 20], metavar="W", help="one width, or least and most; default: 6 20"
    )
    parser.add_argument(
        "--occurrences",
        choices=("oops", "zoops", "anr"),
        default="zoops",
        help="sites a sequence: one (oops), at most one (zoops, the default), any number (anr)",
    )
    parser.add_argument("--strands", choices=("both", "+"), default="both", help="where sites may lie; default: both")
    parser.add_argument("--motifs", type=int, default=1, metavar="N", help="how many to look for; default: 1")
    parser.add_argument("--order", type=int, default=0, help="of the background, 0 to 3; default: 0")
    parser.add_argument("--palindrome", action="store_true", help="the motif is its own reverse complement")
    parser.add_argument("--seed", type=int, default=0, help="of the random projections; default: 0")


def run(options: argparse.Namespace) -> int:
    """Find and write."""
    from ..models.motifs import MotifFinder, to_bed, to_jaspar, to_meme

    if options.output.exists():
        raise ValueError(f"{options.output} exists already; give a folder that does not.")
    finder = MotifFinder(
        tuple(options.width) if len(options.width) > 1 else options.width[0],
        options.occurrences,
        options.strands,
        options.motifs,
        background=options.order,
        palindrome=options.palindrome,
        random_state=options.seed,
    )
    _fit(finder, options.sequences)
    _write(
        options.output,
        {
            "report.html": _report(finder, str(options.sequences)),
            "motifs.meme": to_meme(finder.motifs_, options.strands),
            "motifs.jaspar": to_jaspar(finder.motifs_),
            "sites.bed": to_bed(finder.motifs_, finder.names_),
        },
    )
    for motif in finder.motifs_:
        print(f"{motif.name}\t{motif.consensus}\t{len(motif.sites)} sites\tE = {_e_value(motif)}")
    print(f"wrote {options.output / 'report.html'}")
    return 0


def _fit(finder: Any, path: Path) -> None:
    """Its warnings are sentences on standard error; so is a reader that is not installed."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            finder.fit(path)
        except ImportError as problem:
            raise ValueError(str(problem)) from problem
    for message in dict.fromkeys(str(warning.message) for warning in said):
        print(f"emlib motifs: {message}", file=sys.stderr)


def _write(out: Path, pages: dict[str, str]) -> None:
    """All files or none: written beside, then renamed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, text in pages.items():
            (beside / name).write_text(text, encoding="utf8")
        beside.chmod(0o755)
        beside.rename(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _e_value(motif: Any) -> str:
    from ..models.motifs.formats import ten_to_the

    return ten_to_the(motif.log_e_value)


STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#333}"
    "table{border-collapse:collapse}td,th{padding:.1em .8em;text-align:left}svg{max-width:100%}"
)


def _report(finder: Any, source: str) -> str:
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Motifs in {html.escape(source)}</title>"
        f"<style>{STYLE}</style><h1>Motifs in {html.escape(source)}</h1>"
        f"<p>{len(finder.names_)} sequences, occurrences <i>{finder.occurrences}</i>, strands {finder.strands}.</p>"
    ]
    parts += [_section(finder, motif) for motif in finder.motifs_]
    return "\n".join(parts) + "</html>\n"


def _section(finder: Any, motif: Any) -> str:
    from ..view.logos import logo_svg

    rows = "".join(
        f"<tr><td>{html.escape(finder.names_[s.sequence])}<td>{s.start + 1}<td>{s.strand}"
        f"<td>{s.posterior:.3f}<td><code>{word}</code>"
        for s, word in zip(motif.sites, motif.words, strict=True)
    )
    return (
        f"<h2>{motif.name}: {motif.consensus}</h2>{logo_svg(motif.counts)}"
        f"<p>E-value {_e_value(motif)}; {len(motif.sites)} sites; log-likelihood ratio "
        f"{motif.log_likelihood_ratio:.1f} nats.</p>"
        f"<h3>Where the sites are</h3>{_site_map(motif)}"
        f"<details><summary>All sites</summary><table><tr><th>sequence<th>start<th>strand<th>posterior<th>site{rows}"
        "</table></details>"
    )


def _site_map(motif: Any) -> str:
    """Sequences as lines, sites as bars: above the line for +, below it for -. The first 100 sequences with sites."""
    shown = sorted({s.sequence for s in motif.sites})[:100]
    line = {sequence: 8 + 9 * i for i, sequence in enumerate(shown)}
    longest = max((s.start + motif.width for s in motif.sites), default=1)
    scale = 800 / longest
    bars = "".join(f"<path d='M0 {y}h800' stroke='#ccc'/>" for y in line.values())
    for s in motif.sites:
        if s.sequence in line:
            y = line[s.sequence] - (4 if s.strand == "+" else 0)
            bars += (
                f"<rect x='{s.start * scale:.1f}' y='{y}' width='{motif.width * scale:.1f}' height='4' "
                f"fill='#0072b2' fill-opacity='{max(s.posterior, 0.2):.2f}'/>"
            )
    return (
        f"<svg viewBox='0 0 800 {16 + 9 * len(shown)}' width='800' role='img' "
        f"aria-label='sites of {motif.name} along the sequences'>{bars}</svg>"
    )
