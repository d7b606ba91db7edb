"""book/references.bib: every entry parses and can be found by a reader."""

import pytest
from pybtex.database import parse_file

from .conftest import ROOT

ENTRIES = parse_file(ROOT / "book" / "references.bib").entries


@pytest.mark.parametrize("key", ENTRIES)
def test_entry_is_complete(key):
    entry = ENTRIES[key]
    assert entry.persons.get("author"), "no author"
    assert entry.fields["title"].strip()
    assert 1800 < int(entry.fields["year"]) < 2100
    assert {"doi", "url", "pmid", "isbn", "eprint"} & {name.lower() for name in entry.fields}, "no way to find it"


def test_doi_is_bare_and_cited_once():
    dois = [entry.fields["doi"] for entry in ENTRIES.values() if "doi" in entry.fields]
    assert all(doi.startswith("10.") for doi in dois)
    assert len(dois) == len({doi.lower() for doi in dois})
