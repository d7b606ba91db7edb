"""Print, as constraints for pip, what readers' browsers get: the versions in the lock file of Pyodide.

    python .ci/pyodide_versions.py > tests/constraints-pyodide.txt

Pyodide's version is the one that the installed JupyterLite kernel asks for; its lock file comes from npm.
"""

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

ROOT = Path(__file__).resolve().parents[1]


def lock_of(version: str) -> dict:
    """The lock file of a release of Pyodide."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"pyodide@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            return json.load(files.extractfile("package/pyodide-lock.json"))


def ours() -> set[str]:
    """What emlib and its notebooks ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["notebooks"]
    return {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in wanted}


def main() -> int:
    """Print the constraints."""
    packages = lock_of(PYODIDE_VERSION)["packages"].values()
    print(f"# Pyodide {PYODIDE_VERSION}")
    for package in sorted(packages, key=lambda package: package["name"].lower()):
        if package["name"].lower() in ours():
            print(f"{package['name']}=={package['version']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
