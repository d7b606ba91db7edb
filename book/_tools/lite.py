"""Make the JupyterLite of the site: the course's notebooks and library, run by the reader's browser.

    python book/_tools/lite.py            # after the site; does nothing if nothing has changed

It takes the copies of the notebooks that the site's build has left in _build/notebooks (book/_ext/launch.py), builds
the wheel of emlib from the tree, and puts `lite/` into the site. What it runs on, Pyodide, comes from its own CDN when
a reader starts a notebook; see book/appendix/how_to_read.md.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BRANCH = """# Notebooks of the course

Made from the branch `main` whenever the site is published; changes made here are lost. Binder and Colab open these
files from the buttons of the site. `emlib-*.whl` is the library they import.
"""
EXTENSIONS = Path(sys.prefix) / "share" / "jupyter" / "labextensions"


def configuration(notebooks: Path, output: Path) -> dict:
    """The settings of `jupyter lite build`."""
    return {
        "LiteBuildConfig": {
            "lite_dir": ".",
            "output_dir": str(output),
            "contents": [str(notebooks)],
            "apps": ["notebooks", "tree", "lab"],
            # Only what the notebooks need, whatever else is installed here.
            "ignore_sys_prefix": ["federated_extensions"],
            "federated_extensions": [
                str(EXTENSIONS / "@jupyterlite" / "pyodide-kernel-extension"),
                str(EXTENSIONS / "@jupyter-widgets" / "jupyterlab-manager"),
            ],
            "ignore_contents": [r"/\.ipynb_checkpoints/"],  # by default also all that lies in a folder _build
            "no_sourcemaps": True,
            "no_unused_shared_packages": True,
        },
        "PipliteAddon": {"piplite_urls": ["wheel"]},  # `%pip install emlib` finds ours
    }


def build_wheel(folder: Path) -> Path:
    """The wheel of emlib, alone in its folder. (Made of the same tree it has the same bytes.)"""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def fingerprint(settings: dict, notebooks: Path, wheel: Path) -> dict[str, str]:
    """What JupyterLite is made of: a digest of its frame, and one of its contents."""
    files = {path.relative_to(notebooks).as_posix(): path for path in sorted(notebooks.rglob("*.ipynb"))}
    versions = [version(name) for name in ("jupyterlite-core", "jupyterlite-pyodide-kernel", "jupyterlab-widgets")]
    contents = hashlib.sha256(wheel.read_bytes())
    for path in files.values():
        contents.update(hashlib.sha256(path.read_bytes()).digest())
    frame = json.dumps([settings, versions, wheel.name, list(files)])
    return {"frame": hashlib.sha256(frame.encode()).hexdigest(), "contents": contents.hexdigest()}


def make(build: Path) -> bool:
    """Bring `build`/html/lite up to date; tells whether there was anything to do."""
    notebooks, output, work = build / "notebooks", build / "html" / "lite", build / "lite"
    if not any(notebooks.rglob("*.ipynb")):
        raise SystemExit(f"There are no notebooks in {notebooks}: build the site first.")
    work.mkdir(parents=True, exist_ok=True)
    settings = configuration(notebooks, output)
    now = fingerprint(settings, notebooks, build_wheel(work / "wheel"))
    stamp = work / "made-of.json"
    before = (
        json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() and (output / "index.html").is_file() else {}
    )
    if now == before:
        return False
    stamp.unlink(missing_ok=True)
    if now["frame"] != before.get("frame"):  # nothing old may linger
        shutil.rmtree(output, ignore_errors=True)
        (work / ".jupyterlite.doit.db").unlink(missing_ok=True)
    (work / "jupyter_lite_config.json").write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "jupyterlite_core", "build"], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"jupyter lite build failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    stamp.write_text(json.dumps(now), encoding="utf-8")
    return True


def compose_branch(build: Path, folder: Path) -> None:
    """What the branch `notebooks` holds: copies, the wheel, and what Binder needs to run them."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(build / "notebooks", folder)
    shutil.copytree(ROOT / ".binder", folder / ".binder")
    (wheel,) = (build / "lite" / "wheel").glob("*.whl")
    for file in (wheel, ROOT / "requirements.txt", ROOT / "LICENSE", ROOT / "LICENSE-TEXT"):
        shutil.copy2(file, folder)
    (folder / "README.md").write_text(BRANCH, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Put JupyterLite into the built site.")
    parser.add_argument("--build", type=Path, default=ROOT / "_build", help="the folder with html/ and notebooks/")
    parser.add_argument("--branch", type=Path, help="write what the branch `notebooks` holds into this folder, too")
    options = parser.parse_args(arguments)
    print("JupyterLite", "made" if make(options.build.resolve()) else "is up to date")
    if options.branch:
        compose_branch(options.build.resolve(), options.branch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
