"""book/_tools: notebooks come out the same on every run, and a taken port gets one clear sentence."""

import gzip
import http.client
import json
import socket
import threading

import nbformat
import pytest

from book._tools import notebooks, serve

CELL = """\
import ipywidgets
import numpy as np
import pandas as pd
slider = ipywidgets.IntSlider(description="step")
box = ipywidgets.VBox([slider, ipywidgets.Image(value=bytes(range(256)))])
display(box)
print(np.array([1 / 3]), pd.Series([2 / 3]).to_string())
np.float64(-1130.26396)"""


def make_notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    return path


def test_two_runs_store_the_same_bytes(tmp_path):
    path = make_notebook(tmp_path / "n.ipynb", CELL)
    assert notebooks.main([str(path)]) == 0
    first = path.read_bytes()
    assert notebooks.main([str(path)]) == 0
    assert path.read_bytes() == first
    assert notebooks.main(["--check", str(path)]) == 0

    shown, printed, value = json.loads(first)["cells"][0]["outputs"]
    assert shown["data"]["text/plain"] == ["VBox (interactive)"]
    assert "".join(printed["text"]) == "[0.333333] 0    0.666667\n"
    assert value["data"]["text/plain"] == ["-1130.26"]


def test_check_names_a_stale_notebook_and_leaves_it(tmp_path, capsys):
    path = make_notebook(tmp_path / "n.ipynb", "1 + 1")
    before = path.read_bytes()
    assert notebooks.main(["--check", str(path)]) == 1
    assert "WOULD CHANGE" in capsys.readouterr().out
    assert path.read_bytes() == before


def test_failing_cell_leaves_the_notebook_as_it_was(tmp_path, capsys):
    path = make_notebook(tmp_path / "n.ipynb", "1 / 0")
    before = path.read_bytes()
    assert notebooks.main([str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_a_notebook_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        notebooks.main([str(tmp_path / "absent.ipynb")])
    assert "not a notebook" in capsys.readouterr().err


def test_widget_ids_follow_the_order_of_making():
    old = ["f" * 32, "a" * 32]
    state = {old[0]: {"state": {"children": [f"IPY_MODEL_{old[1]}"]}}, old[1]: {"state": {}}}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": old[0]}}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("box", outputs=[nbformat.v4.new_output("display_data", view)])],
        metadata={"widgets": {notebooks.WIDGET_STATE: {"state": state}}},
    )
    renamed = notebooks.rename_widgets(notebook)
    new = [f"{number:032x}" for number in (1, 2)]
    state = renamed.metadata.widgets[notebooks.WIDGET_STATE].state
    assert list(state) == new
    assert state[new[0]].state.children == [f"IPY_MODEL_{new[1]}"]
    assert next(iter(renamed.cells[0].outputs[0].data.values())).model_id == new[0]


def test_taken_port_gets_one_sentence(tmp_path, capsys):
    (tmp_path / "index.html").write_text("hello", encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.main([str(tmp_path), "--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"Port {port} cannot be used" in said
    assert f"PORT={port + 1}" in said


def test_missing_site_gets_one_sentence(tmp_path, capsys):
    assert serve.main([str(tmp_path)]) == 1
    assert "make book SERVE=0" in capsys.readouterr().err


def test_server_sends_what_is_asked_for_compressed_if_wanted(tmp_path):
    text = "<p>a page</p>" * 500
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    with serve.open_server(tmp_path, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])  # one for all

        def get(name, **headers):
            connection.request("GET", f"/{name}", headers=headers)
            answer = connection.getresponse()
            return answer, answer.read()

        answer, body = get("index.html", **{"Accept-Encoding": "gzip, br"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body).decode() == text
        assert len(body) < len(text) / 10
        answer, body = get("index.html")
        assert (answer.headers["Content-Encoding"], body.decode()) == (None, text)
        answer, body = get("dot.png", **{"Accept-Encoding": "gzip"})
        assert (answer.headers["Content-Encoding"], body) == (None, b"\x89PNG")
        (tmp_path / "index.html").write_text("newer", encoding="utf-8")
        assert gzip.decompress(get("index.html", **{"Accept-Encoding": "gzip"})[1]) == b"newer"
        assert get("absent.html", **{"Accept-Encoding": "gzip"})[0].status == 404
        connection.close()
        server.shutdown()
