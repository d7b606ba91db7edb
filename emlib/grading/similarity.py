"""Which submissions share passages that others do not: fingerprints of the shape of code, compared by their rarity.

The method is winnowing (S. Schleimer, D. S. Wilkerson, A. Aiken, "Winnowing: local algorithms for document
fingerprinting", SIGMOD 2003), over the syntax tree of each function and not over its text: names of variables, numbers,
comments, layout, docstrings and annotations do not count; what is called and in which order does.

Short exercises have few good answers, and those look alike. So three kinds of passages are no evidence: those of the
notebook as it is handed out, those of the published solution (which is reported apart), and those that many of the
class have written. What is left is counted, and shown side by side. It is never a mark.
"""

from __future__ import annotations

import ast
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

from ..course.contract import Exercise, source_of

GRAM = 10  # nodes of the tree in a row that make a passage
WINDOW = 4  # of so many passages in a row one is kept: whatever is longer than 13 nodes is found
COMMON = 0.1  # shared by more than this part of the class: no evidence
FEW = 3  # nor is it rare that so many of a small class share a passage
LEAST = 6  # rare passages in common
SHARE = 0.4  # of the rare passages of the smaller one
MOST_NODES = 20_000  # of one notebook
MOST_PAIRS = 200
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Passage:
    """A fingerprint and where it is from."""

    print: int
    function: str
    first: int  # lines of the function, from 0
    last: int


@dataclass
class Sheet:
    """What one student has written for one exercise.

    Attributes
    ----------
    passages : list of Passage
        Of the functions of the exercise, and of helpers beside them.
    sources : dict
        Their source, by name.
    names : set of str
        The names of variables in them.
    shapes : dict
        Hash of the whole function, by name.
    """

    passages: list[Passage] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    shapes: dict[str, str] = field(default_factory=dict)

    @property
    def prints(self) -> set[int]:
        """All fingerprints."""
        return {passage.print for passage in self.passages}


@dataclass(frozen=True)
class Pair:
    """Two students who share rare passages.

    Attributes
    ----------
    left, right : str
        Who.
    topic : str
        The exercise.
    shared : int
        How many rare passages.
    share : float
        Of those of the smaller one.
    names : tuple of str
        Names of variables that both use and hardly anybody else.
    prints : frozenset of int
        The passages.
    """

    left: str
    right: str
    topic: str
    shared: int
    share: float
    names: tuple[str, ...]
    prints: frozenset[int]


def sheet_of(cells: Sequence[str], wanted: Iterable[str] = ()) -> Sheet:
    r"""Fingerprint the functions that a notebook defines; nothing of it is run.

    Parameters
    ----------
    cells : sequence of str
        Code.
    wanted : iterable of str
        If given, only functions with these names, and those that are none of the exercise's but are called by them.

    Examples
    --------
    >>> one = sheet_of(["def mean(x):\n    total = sum(x)\n    return total / len(x)"])
    >>> other = sheet_of(["def mean(values):\n    '''Mean.'''\n    s = sum(values)\n    return s / len(values)  # n"])
    >>> one.shapes == other.shapes
    True
    """
    found: dict[str, tuple[ast.AST, str]] = {}
    for source in cells:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[node.name] = node, _text(source, node)
    sheet = Sheet()
    left = MOST_NODES
    for name in _reached(found, list(wanted)) if wanted else found:
        top, text = found[name]
        tokens = list(_tokens(top, sheet.names, left))
        left -= len(tokens)
        start = getattr(top, "lineno", 1)
        sheet.sources[name] = text
        sheet.shapes[name] = hashlib.sha256("\n".join(word for word, _ in tokens).encode()).hexdigest()[:16]
        sheet.passages += [
            Passage(print_, name, first - start, last - start) for print_, first, last in _winnowed(tokens)
        ]
    return sheet


def alike(topic: str, sheets: dict[str, Sheet], exercise: Exercise) -> list[Pair]:
    """The pairs of students who share more rare passages than the short way allows, the most alike first."""
    known = given(exercise)
    rare = _rare({who: sheet.prints - known for who, sheet in sheets.items()})
    rare_names = _rare({who: sheet.names for who, sheet in sheets.items()})
    own = {who: sheet.prints & rare for who, sheet in sheets.items()}
    holders: defaultdict[int, list[str]] = defaultdict(list)
    for who, prints in own.items():
        for one in prints:
            holders[one].append(who)
    together: Counter[tuple[str, str]] = Counter()
    for people in holders.values():
        together.update(combinations(sorted(people), 2))
    found = []
    for (left, right), shared in together.items():
        share = shared / min(len(own[left]), len(own[right]))
        if shared >= LEAST and share >= SHARE:
            names = sheets[left].names & sheets[right].names & rare_names
            both = frozenset(own[left] & own[right])
            found.append(Pair(left, right, topic, shared, share, tuple(sorted(names)), both))
    return sorted(found, key=lambda pair: (-pair.share * math.log(pair.shared + 1), pair.left, pair.right))[:MOST_PAIRS]


def published(sheets: dict[str, Sheet], exercise: Exercise) -> dict[str, list[str]]:
    """Who has functions that are the published ones but for names and layout; very short functions do not count."""
    shapes = {}
    for function in exercise.functions.values():
        sheet = sheet_of([source_of(function.reference)])
        if len(sheet.passages) >= LEAST:
            shapes[function.name] = sheet.shapes[function.name]
    found = {
        who: [name for name, shape in shapes.items() if sheet.shapes.get(name) == shape]
        for who, sheet in sheets.items()
    }
    return {who: names for who, names in found.items() if names}


def given(exercise: Exercise) -> set[int]:
    """The passages of what is handed out or published."""
    texts = [function.stub() for function in exercise.functions.values()]
    texts += [source_of(function.reference) for function in exercise.functions.values()]
    return sheet_of(texts).prints | set().union(*(sheet_of([text]).prints for text in texts))


def _rare(owned: dict[str, set[Thing]]) -> set[Thing]:
    """What at most a few of the class have."""
    counted = Counter(one for things in owned.values() for one in things)
    most = max(FEW, int(COMMON * len(owned)))
    return {one for one, n in counted.items() if n <= most}


# ---------------------------------------------------------------- trees
def _text(source: str, node: ast.AST) -> str:
    lines = source.splitlines()
    return "\n".join(lines[getattr(node, "lineno", 1) - 1 : getattr(node, "end_lineno", len(lines))])


def _reached(found: dict[str, tuple[ast.AST, str]], wanted: list[str]) -> list[str]:
    """Those wanted, and what they call."""
    waiting, reached = [name for name in wanted if name in found], dict[str, None]()
    while waiting:
        name = waiting.pop(0)
        if name in reached:
            continue
        reached[name] = None
        waiting += [n.id for n in ast.walk(found[name][0]) if isinstance(n, ast.Name) and n.id in found]
    return list(reached)


def _tokens(top: ast.AST, names: set[str], most: int) -> Iterator[tuple[str, int]]:
    """The nodes of a tree from left to right, each as a word with its line; names of their own become the same word."""
    waiting: list[tuple[ast.AST, int]] = [(top, getattr(top, "lineno", 1))]
    n = 0
    while waiting and n < most:
        node, line = waiting.pop()
        line = getattr(node, "lineno", line)
        word = _word(node, names)
        if word:
            n += 1
            yield word, line
        waiting += [(child, line) for child in reversed(list(_children(node)))]


def _word(node: ast.AST, names: set[str]) -> str:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Store):
            names.add(node.id)
        return "name"
    if isinstance(node, ast.arg):
        return "argument"
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"  # what of NumPy is used is the substance of such code
    if isinstance(node, ast.keyword):
        return f"{node.arg}="
    if isinstance(node, ast.Constant):
        return f"constant {type(node.value).__name__}"
    if isinstance(node, ast.expr_context | ast.arguments):
        return ""
    return type(node).__name__


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_docstring(child, node):
                yield child


def _is_docstring(child: ast.AST, parent: ast.AST) -> bool:
    return (
        isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and isinstance(child, ast.Expr)
        and isinstance(child.value, ast.Constant)
        and isinstance(child.value.value, str)
    )


def _winnowed(tokens: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int, int]]:
    """Of each window of passages the one with the smallest hash; with the first and last line of the passage."""
    words = [word for word, _ in tokens]
    hashes = [
        int.from_bytes(hashlib.blake2b("\n".join(words[i : i + GRAM]).encode(), digest_size=8).digest())
        for i in range(len(words) - GRAM + 1)
    ]
    chosen = {
        min(range(i, min(i + WINDOW, len(hashes))), key=lambda j: (hashes[j], -j))
        for i in range(max(len(hashes) - WINDOW + 1, min(1, len(hashes))))
    }
    for i in sorted(chosen):
        lines = [line for _, line in tokens[i : i + GRAM]]
        yield hashes[i], min(lines), max(lines)
