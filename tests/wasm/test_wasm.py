"""A choice of the unit tests pass in WebAssembly; ``make test-wasm`` runs them all."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from emlib.grading import wasi


@pytest.mark.slow
def test_a_choice_of_the_unit_tests():
    if wasi.trouble():
        pytest.skip(wasi.trouble())
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 500
