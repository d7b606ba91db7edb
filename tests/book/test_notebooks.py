"""The notebooks as committed: executed in order from a clean kernel, without errors, noise or machine's marks."""

import json
import re

import pytest

from book._tools import notebooks

VIEW = "application/vnd.jupyter.widget-view+json"
MACHINE = re.compile(r"(?<![\w.:/])(?:/(?:home|Users|root|work|tmp|private|opt|var|builds)/|[A-Z]:\\)")
PATHS = notebooks.find_notebooks()


@pytest.fixture(params=PATHS, ids=lambda path: path.relative_to(notebooks.ROOT).as_posix())
def notebook(request) -> dict:
    return json.loads(request.param.read_text(encoding="utf-8"))


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def outputs(notebook: dict) -> list[dict]:
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]


def shown_text(output: dict) -> str:
    """Return what an output shows as text (pictures and widgets aside)."""
    parts = [output.get("text", "")]
    parts += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join("".join(part) for part in parts)


def test_cells_were_executed_in_order_from_a_clean_kernel(notebook):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_error_and_nothing_on_stderr(notebook):
    assert [o for o in outputs(notebook) if o["output_type"] == "error" or o.get("name") == "stderr"] == []


def test_outputs_name_no_path_of_a_machine(notebook):
    assert [text for text in map(shown_text, outputs(notebook)) if MACHINE.search(text)] == []


def test_text_outputs_hold_no_bytes(notebook):
    assert [text[:80] for text in map(shown_text, outputs(notebook)) if re.search(r"\\x[0-9a-f]{2}", text)] == []


def test_no_timings_and_no_versions_in_the_metadata(notebook):
    assert [cell["metadata"] for cell in notebook["cells"] if "execution" in cell["metadata"]] == []
    assert "version" not in notebook["metadata"].get("language_info", {})
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_every_widget_has_its_state_and_a_settled_id(notebook):
    shown = [o["data"][VIEW]["model_id"] for o in outputs(notebook) if VIEW in o.get("data", {})]
    state = notebook["metadata"].get("widgets", {}).get(notebooks.WIDGET_STATE, {}).get("state", {})
    assert set(shown) <= set(state)
    assert sorted(state) == [f"{number:032x}" for number in range(1, len(state) + 1)]
