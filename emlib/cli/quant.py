"""``emlib quant``: how many fragments came from each transcript, as a table like salmon's ``quant.sf``."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

HELP = "share reads out among transcripts"
EXAMPLE = "emlib quant salmon_out/ -o quant.sf; emlib quant transcripts.fa.gz r_1.fq.gz r_2.fq.gz -o quant.sf"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is counted, and where the table goes."""
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="a folder of salmon (quant --dumpEq or --dumpEqWeights) or kallisto (pseudo, bus), an eq_classes.txt; "
        "or FASTA of transcripts and one or two FASTQ files; each gzipped or not",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the table; replaced if there")
    parser.add_argument(
        "--lengths", type=Path, metavar="FILE", help="quant.sf or abundance.tsv with effective lengths, for classes"
    )
    parser.add_argument("-k", type=int, default=31, help="letters of a word, for reads; odd, default: 31")
    parser.add_argument(
        "--fragment-length", nargs=2, type=float, metavar=("MEAN", "SD"), help="needed for single reads only"
    )
    parser.add_argument(
        "--bootstrap", type=int, default=0, metavar="B", help="resampled experiments; adds the column NumReadsSE"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: 0")
    parser.add_argument(
        "--tol", type=float, default=1e-6, help="stop when less is left to gain, in nats; default: 1e-6"
    )


def run(options: argparse.Namespace) -> int:
    """Read, climb, write."""
    from ..models.transcripts.quantifier import TranscriptQuantifier, write_whole

    if options.output.is_dir():
        raise ValueError(f"{options.output} is a folder; give the name of a file.")
    classes = _classes(options)
    quantifier = TranscriptQuantifier(tol=options.tol)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quantifier.fit(classes)
    for message in dict.fromkeys(str(warning.message) for warning in said):
        print(f"emlib quant: {message}", file=sys.stderr)
    more = {}
    if options.bootstrap:
        more["NumReadsSE"] = quantifier.bootstrap(options.bootstrap, random_state=options.seed).standard_errors
    write_whole(options.output, quantifier.table(**more))
    _tell(quantifier, options.output)
    return 0


def _classes(options: argparse.Namespace) -> Any:
    """Classes from one folder or file, or from transcripts and reads."""
    from ..models.transcripts import pseudoalign, read_classes

    first, *reads = options.input
    if len(reads) > 2:
        raise ValueError(f"there are {len(reads)} files of reads; one of single reads or two of mates are needed.")
    if not reads:
        if _is_fasta(first):
            raise ValueError(f"{first} is FASTA; files of reads must come after it.")
        classes = read_classes(first, options.lengths)
        if classes.effective_lengths is None:
            raise ValueError(
                f"{first} has no lengths of transcripts; name a quant.sf or abundance.tsv that has, with --lengths."
            )
        return classes
    if options.lengths is not None:
        raise ValueError("--lengths is for classes; with reads, lengths follow from the fragments.")
    found = pseudoalign(
        first, *reads, k=options.k, fragment_length=options.fragment_length and tuple(options.fragment_length)
    )
    print(
        f"{found.n_processed} fragments, {found.n_aligned} fit a transcript, {found.n_unique} fit one only; "
        f"mean length {found.fragment_lengths.mean:.1f}"
    )
    return found.classes


def _is_fasta(path: Path) -> bool:
    from ..models.transcripts.fasta import lines_of

    return path.is_file() and next(lines_of(path), b"").startswith(b">")


def _tell(quantifier: Any, output: Path) -> None:
    """What was found, and what cannot be."""
    classes = quantifier.classes_
    print(
        f"{classes.n_fragments:g} fragments in {len(classes)} classes, {len(quantifier.names_)} transcripts; "
        f"{quantifier.stop_reason_} after {quantifier.n_iter_} iterations"
    )
    print(
        f"log-likelihood {quantifier.log_likelihood_:.3f}, at most {quantifier.gap_:.2g} below the maximum; "
        "compare log-likelihoods with other programs', not counts"
    )
    groups = quantifier.identifiability().groups
    for group in groups[:10]:
        print(f"cannot be told apart, only their sum counts: {', '.join(group)}")
    if len(groups) > 10:
        print(f"... and {len(groups) - 10} more such groups")
    print(f"wrote {output}")
