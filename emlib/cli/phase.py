"""``emlib phase in.vcf.gz -o out.vcf.gz``: a copy of a VCF or BCF file with its genotypes phased."""

from __future__ import annotations

import argparse
import shlex
import sys
import warnings
from pathlib import Path

HELP = "phase the genotypes of a VCF file"
EXAMPLE = "emlib phase chr22.vcf.gz -o phased.vcf.gz --chains 4 --regions chr22:16000000-17000000"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to phase, where the copy goes, and how much care is taken."""
    parser.add_argument("genotypes", type=Path, help="VCF or BCF, compressed or not, of two people or more")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="ends in .vcf, .vcf.gz or .bcf"
    )
    parser.add_argument(
        "--regions",
        nargs="+",
        default=[],
        metavar="REGION",
        help="copy and phase these alone: chr22, chr22:16000000 or chr22:16000000-17000000",
    )
    parser.add_argument("--chains", type=int, default=1, metavar="N", help="independent runs that vote; default: 1")
    parser.add_argument("--impute", action="store_true", help="fill in missing genotypes too")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn; default: 0")
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def run(options: argparse.Namespace) -> int:
    """Read, phase, write."""
    from ..models.phasing import Phaser
    from ..models.phasing.vcf import mode_of, read_vcf, write_phased
    from ..models.variants import Region

    source, output = options.genotypes, options.output
    mode_of(output)
    if output.exists() and not options.force:
        raise ValueError(f"{output} exists already; give another name, or --force.")
    if not output.parent.is_dir():
        raise ValueError(f"there is no folder {str(output.parent)!r} to write {output.name} to.")
    phaser = Phaser(chains=options.chains, random_state=options.seed)
    try:
        contents = read_vcf(source, [Region.parse(text) for text in options.regions])
        _check(options, len(contents.samples), contents.records, len(contents.chromosomes))
        for why, (first, times) in contents.left.items():
            more = f" and {times - 1} more" if times > 1 else ""
            _say(f"{source}: {first} {why}; copied as it is{more}.")
        if contents.half_called:
            _say(f"{source}: {contents.half_called} half-called genotypes are taken as missing and stay as they are.")
        haplotypes = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a site of one allele is nothing to worry about in a file
            for chromosome in contents.chromosomes:
                haplotypes.append(phaser.phase(chromosome.genotypes, chromosome.positions))
    except ImportError as problem:
        raise ValueError(str(problem)) from problem
    command = shlex.join([source.name, *_spelled(options)])
    written = write_phased(source, output, contents, haplotypes, impute=options.impute, command=command)
    pairs = sum(int((one.genotypes == 1).sum()) for one in contents.chromosomes)
    phased = sum(len(one.records) for one in contents.chromosomes)
    print(f"phased {pairs} heterozygotes of {len(contents.samples)} people at {phased} of {written} records")
    print(f"wrote {output}")
    return 0


def _check(options: argparse.Namespace, people: int, records: int, chromosomes: int) -> None:
    source = options.genotypes
    if people < 2:
        raise ValueError(
            f"{source} has {people} sample(s); phase is inferred from what people share, so at least two are needed."
        )
    if not records:
        raise ValueError(f"{source} has no record in {', '.join(options.regions)}.")
    if not chromosomes:
        raise ValueError(f"{source} has no record that could be phased.")


def _spelled(options: argparse.Namespace) -> list[str]:
    """The options that decide the answer."""
    words = ["--chains", str(options.chains), "--seed", str(options.seed)]
    words += ["--impute"] if options.impute else []
    return words + (["--regions", *options.regions] if options.regions else [])


def _say(sentence: str) -> None:
    print(f"emlib phase: {sentence}", file=sys.stderr)
