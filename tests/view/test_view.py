"""emlib.view: frames come out small, equal and honest; explorers refuse what would leave a reader out."""

import gzip
import io
import json
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import emlib

ipywidgets = pytest.importorskip("ipywidgets")
from PIL import Image  # noqa: E402 - after ipywidgets, which not every environment has

from emlib.engine import em, families  # noqa: E402
from emlib.engine.mixture import Mixture, MixtureParams  # noqa: E402
from emlib.view import Frame, Recorder, explorer, figures, picture, quote, style  # noqa: E402

BUDGET = 200_000  # bytes of 30 frames on the wire


def bar(n: int) -> Figure:
    figure, ax = plt.subplots()
    ax.bar(["heads"], [n])
    return figure


def frame(n: int, **changes) -> Frame:
    return Frame(**({"figure": bar(n), "alt": f"One bar as high as the {n} heads seen.", "values": (n,)} | changes))


TEXTS = {"question": "How high next?", "caption": "Heads so far.", "columns": ["heads"]}


# ---------------------------------------------------------------- pictures
@pytest.fixture(scope="module")
def faithful() -> list[Figure]:
    """Thirty frames of the book's busiest scatter plot: ellipses move, points change colour."""
    style.use()
    X = emlib.data.old_faithful()
    model, steps = Mixture(families.Gaussian()), Recorder()
    start = MixtureParams(
        np.array([0.5, 0.5]), families.GaussianParams(np.array([[3.0, 60], [3.2, 75]]), np.stack([np.cov(X.T)] * 2))
    )
    em.fit(model, X, start, tol=0, max_iter=29, callback=steps)
    drawn = []
    for step in steps.steps:
        figure = Figure()
        ax = figure.subplots()
        responsibilities, _ = model.posterior(X, step.params)
        figures.scatter_by_responsibility(ax, X, responsibilities)
        for k in range(2):
            normal = step.params.components
            figures.ellipse(ax, normal.means[k], normal.covariances[k], color=style.color(k))
        ax.set(xlabel="length of the eruption (minutes)", ylabel="waiting time (minutes)", xlim=(1, 6), ylim=(35, 105))
        drawn.append(figure)
    assert len(drawn) == 30
    return drawn


def test_thirty_frames_are_light_on_the_wire(faithful):
    addresses = [picture.address(figure) for figure in faithful]
    assert len(set(addresses)) == 30
    assert all(address.startswith("data:image/svg+xml,") for address in addresses)
    assert len(gzip.compress(json.dumps(addresses).encode(), 6)) <= BUDGET / 4  # an explorer is not alone on its page


def test_equal_figures_are_equal_bytes():
    for draw in (picture.svg, picture.bitmap, picture.address):
        assert draw(bar(3)) == draw(bar(3))
        assert draw(bar(3)) != draw(bar(4))


def test_short_svg_draws_what_matplotlib_draws(faithful):
    """Every point is still there, at its place."""
    figure = faithful[-1]
    text = picture.svg(figure)  # first: the layout settles when the figure is drawn
    points = figure.axes[0].collections[0]
    places = figure.axes[0].transData.transform(points.get_offsets()) * 72 / figure.dpi
    height = figure.get_figheight() * 72
    expected = sorted((round(x, 1), round(height - y, 1)) for x, y in places)
    dots = sorted((float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", text))
    np.testing.assert_allclose(dots, expected, atol=0.11)


def test_references_inside_the_svg_hold(faithful):
    text = picture.svg(faithful[0])
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) == set(ids)


def test_crowded_figure_becomes_a_small_bitmap():
    figure = Figure()
    figure.subplots().scatter(*np.random.default_rng(0).random((2, 4000)), c=np.linspace(0, 1, 4000))
    address = picture.address(figure)
    assert address.startswith("data:image/webp;base64,")
    assert len(picture.bitmap(figure)) < 100_000


def test_bitmap_keeps_few_colours_and_stands_on_white():
    clear = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(clear, "PNG")
    image = Image.open(io.BytesIO(picture.bitmap(clear.getvalue()))).convert("RGB")
    assert image.getcolors() == [(64, (255, 255, 255))]
    drawn = Image.open(io.BytesIO(picture.bitmap(bar(1)))).convert("RGB")
    assert 2 < len(drawn.getcolors()) <= picture.BITMAP_COLORS


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="3 bytes that are no PNG"):
        picture.address(b"GIF")
    with pytest.raises(TypeError, match="must be a matplotlib Figure"):
        picture.svg("figure")


def test_description_is_escaped():
    assert 'alt="x &lt; 2 &amp; &quot;y&quot;"' in picture.image("data:,", 'x < 2 & "y"')


# ---------------------------------------------------------------- explorers
def test_explorer_is_joined_in_the_browser_and_complete():
    box = explorer([frame(n) for n in (1, 2, 3)], label="flip", **TEXTS)
    question, controls, stack, caption, table = box.children
    play, slider = controls.children
    assert "How high next?" in question.value
    assert "Heads so far." in caption.value
    assert (play.min, play.max, slider.index, stack.selected_index) == (0, 2, 0, 0)
    assert slider.description == "flip"
    assert [(link.source, link.target) for link in box.links] == [
        ((play, "value"), (slider, "index")),
        ((slider, "index"), (stack, "selected_index")),
    ]
    assert all(f'alt="One bar as high as the {n} heads seen."' in stack.children[n - 1].value for n in (1, 2, 3))
    assert table.value.count("<tr>") == 4
    assert '<th scope="row">2</th><td>3</td>' in table.value


def test_frames_close_their_figures_and_keep_them_out_of_the_cell():
    before = plt.get_fignums()
    frame(1)
    assert plt.get_fignums() == before


def test_markup_in_texts_is_shown_not_obeyed():
    box = explorer([frame(n) for n in (1, 2, 3)], question="Is a < b & $r_{ik}$?", caption="<b>", columns=["<i>"])
    assert "Is a &lt; b &amp; $r_{ik}$?" in box.children[0].value
    assert "&lt;b&gt;" in box.children[3].value
    assert "&lt;i&gt;" in box.children[4].value


def test_numbers_of_the_table_are_short():
    frames = [frame(n, values=(-1130.26396, np.float64(0.5), n, "0.50")) for n in (1, 2, 3)]
    box = explorer(frames, question="q", caption="c", columns=list("abcd"))
    assert "<td>−1130.26</td><td>0.5</td><td>2</td><td>0.50</td>" in box.children[4].value


@pytest.mark.parametrize(
    ("frames", "texts", "sentence"),
    [
        ([1, 2], {}, "There are 2 frames; an explorer needs at least 3."),
        ([1, 2, 3], {"question": " "}, "question is empty"),
        ([1, 2, 3], {"caption": ""}, "caption is empty"),
        ([1, 2, 3], {"label": ""}, "label is empty"),
        ([1, 2, 3], {"columns": []}, "Frame 0 has 1 values, but there are 0 columns."),
        ([1, 2, 2], {}, "Two frames have the alt"),
    ],
)
def test_explorer_that_leaves_a_reader_out_is_refused(frames, texts, sentence):
    with pytest.raises(ValueError, match=sentence):
        explorer([frame(n) for n in frames], **(TEXTS | texts))


def test_names_must_differ():
    frames = [frame(1, name="a"), frame(2, name="b"), frame(3, name="a")]
    with pytest.raises(ValueError, match="Two frames have the name 'a'"):
        explorer(frames, **TEXTS)


@pytest.mark.parametrize("alt", ["", "  ", "figure 1"])
def test_frame_needs_a_description(alt):
    with pytest.raises(ValueError, match="needs at least 25 characters"):
        frame(1, alt=alt)


# ---------------------------------------------------------------- records
@pytest.mark.parametrize(("recorded", "n"), [(1, 2), (5, 12), (13, 12), (200, 12), (10_000, 30), (3, 2)])
def test_thinned_record_keeps_the_ends_and_widens_its_strides(recorded, n):
    steps = Recorder()
    for i in range(recorded):
        steps(em.Step(i, None, None, 0.0))
    kept = [step.n_iter for step in steps.thin(n)]
    assert len(kept) == min(recorded, n)
    assert kept[0] == 0
    assert kept[-1] == recorded - 1
    strides = np.diff(kept)
    assert (strides > 0).all()
    if recorded > 3 * n:
        assert strides[-1] > strides[0]


def test_thinning_refuses_nonsense():
    with pytest.raises(ValueError, match="No step has been recorded"):
        Recorder().thin(3)
    with pytest.raises(ValueError, match="n is 1"):
        Recorder().thin(1)


# ---------------------------------------------------------------- figures and style
def contrast_with_white(color: str) -> float:
    """Contrast ratio of WCAG 2."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)


def test_colours_of_the_first_five_components_stand_out_from_white():
    assert min(contrast_with_white(color) for color in style.COLORS[:5]) >= 3
    assert min(contrast_with_white(color) for color in (style.INK, style.GREY)) >= 4.5


@pytest.mark.parametrize("covariance", [[[4, 0], [0, 1]], [[2, 1.2], [1.2, 1]], [[1, -0.9], [-0.9, 1]]])
def test_ellipse_is_the_curve_of_equal_density(covariance):
    curve = figures.ellipse(Figure().subplots(), [3, -1], covariance, n_std=1.5)
    turn = np.linspace(0, 2 * np.pi, 50)
    points = curve.get_patch_transform().transform(np.column_stack([np.cos(turn), np.sin(turn)])) - [3, -1]
    distances = np.sqrt(np.einsum("ni,ij,nj->n", points, np.linalg.inv(covariance), points))
    np.testing.assert_allclose(distances, 1.5)


@pytest.mark.parametrize(
    ("mean", "covariance", "n_std", "sentence"),
    [
        ([0, 0, 0], np.eye(3), 2, "mean has shape"),
        ([0, 0], [[1, 0.5], [0, 1]], 2, "not symmetric"),
        ([0, 0], [[1, 2], [2, 1]], 2, "negative eigenvalue"),
        ([0, 0], np.eye(2), 0, "n_std is 0"),
    ],
)
def test_what_is_no_ellipse_is_refused(mean, covariance, n_std, sentence):
    with pytest.raises(ValueError, match=sentence):
        figures.ellipse(Figure().subplots(), mean, covariance, n_std)


def test_points_mix_the_colours_of_their_components():
    points = figures.scatter_by_responsibility(
        Figure().subplots(), np.zeros((3, 2)), [[1, 0], [0, 1], [0.5, 0.5]], colors=("#000000", "#ffffff")
    )
    np.testing.assert_allclose(points.get_facecolor()[:, 0], [0, 1, 0.5])


@pytest.mark.parametrize(
    ("X", "responsibilities", "sentence"),
    [
        (np.zeros((3, 3)), np.ones((3, 1)), "X has shape"),
        (np.zeros((3, 2)), np.ones((2, 1)), "responsibilities have shape"),
        (np.zeros((1, 2)), np.full((1, 8), 0.125), "8 components, but only 7 colours"),
        (np.zeros((1, 2)), [[0.5, 0.4]], "does not sum to 1"),
    ],
)
def test_points_that_cannot_be_coloured_are_refused(X, responsibilities, sentence):
    with pytest.raises(ValueError, match=sentence):
        figures.scatter_by_responsibility(Figure().subplots(), X, responsibilities)


def test_trace_has_labelled_axes_and_refuses_a_table():
    ax = Figure().subplots()
    line = figures.trace_plot(ax, [-3.0, -2.0, -1.5])
    assert line.get_ydata().tolist() == [-3.0, -2.0, -1.5]
    assert ax.get_xlabel() == "iteration"
    assert "nats" in ax.get_ylabel()
    with pytest.raises(ValueError, match="trace has shape"):
        figures.trace_plot(ax, [[1.0]])


def on_faithful(model):
    ax, X = Figure().subplots(), emlib.data.old_faithful()
    ax.scatter(*X.T)
    return ax, model.fit(X)


def paths(contour):
    return [path.vertices for path in contour.get_paths() if len(path.vertices)]


@pytest.mark.parametrize("shape", ["full", "tied", "spherical"])
def test_boundary_is_drawn_where_the_odds_are_even(shape):
    ax, fitted = on_faithful(emlib.GaussianMixture(2, covariance_type=shape, random_state=0))
    limits = ax.get_xlim(), ax.get_ylim()
    boundary = emlib.decision_boundary(fitted, 0, 1)
    (line,) = figures.draw_boundary(ax, boundary)
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    points = np.concatenate(paths(line))
    slope = np.abs(boundary.slope) @ [np.ptp(limits[0]), np.ptp(limits[1])]
    assert np.abs(boundary(points)).max() < 1e-3 * slope
    if boundary.kind == "linear":  # two ends on the frame of the axes are enough, and are exact
        assert len(points) == 2
        np.testing.assert_allclose(boundary(points), 0.0, atol=1e-9)


def test_plane_is_shared_among_all_components():
    ax, fitted = on_faithful(emlib.KMeans(3, random_state=0))
    drawn = figures.draw_boundary(ax, fitted, linestyles=":")
    lines, regions = [c for c in drawn if not c.filled], [c for c in drawn if c.filled]
    assert len(regions) == 3
    for region, centre in zip(regions, fitted.cluster_centers_, strict=True):
        assert any(path.contains_point(centre) for path in region.get_paths())
    on_lines = np.concatenate([points for line in lines for points in paths(line)])
    distances = np.sort(fitted.transform(on_lines), axis=1)
    np.testing.assert_allclose(distances[:, 0], distances[:, 1], rtol=0.02)
    unfilled = figures.draw_boundary(ax, fitted, fill=False)
    assert len(unfilled) == len(lines)


def test_boundary_out_of_sight_draws_nothing():
    ax, fitted = on_faithful(emlib.KMeans(2, random_state=0))
    ax.set_xlim(1, 2)
    ax.set_ylim(-10, 0)
    assert figures.draw_boundary(ax, emlib.decision_boundary(fitted, 0, 1)) == []
    assert figures.draw_boundary(ax, emlib.KMeans(1).fit(emlib.data.old_faithful())) == []


@pytest.mark.parametrize(
    ("boundary", "options", "error", "sentence"),
    [
        (3, {}, TypeError, "is a int; it must be a"),
        ("1-D", {}, ValueError, "boundary lies in 1 columns; a plane has 2"),
        ("1-D boundary", {}, ValueError, "boundary lies in 1 columns; a plane has 2"),
        ("2-D", {"resolution": 1}, ValueError, "resolution is 1; it must be 2 or above"),
        ("2-D", {"colors": ("#000000",)}, ValueError, "There are 2 components, but only 1 colours"),
    ],
)
def test_boundaries_that_cannot_be_drawn_are_refused(boundary, options, error, sentence):
    if isinstance(boundary, str):
        fitted = emlib.KMeans(2).fit(emlib.data.old_faithful()[:, : int(boundary[0])])
        boundary = emlib.decision_boundary(fitted, 0, 1) if boundary.endswith("boundary") else fitted
    with pytest.raises(error, match=sentence):
        figures.draw_boundary(Figure().subplots(), boundary, **options)


# ---------------------------------------------------------------- without matplotlib or ipywidgets
@pytest.mark.parametrize("package", ["matplotlib", "ipywidgets", "PIL"])
def test_missing_package_gets_one_sentence(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "import emlib.view\n"
        "try:\n    from emlib.view import explorer\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == f'emlib.view needs {package}, which is not installed: pip install "emlib[book]"\n'


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        emlib.view.nothing  # noqa: B018


def test_share_bars_fill_each_row_once():
    ax = plt.figure().add_subplot()
    shares = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    figures.share_bars(ax, shares, ["a", "b", "c"], ["first", "second"])
    ends = {}
    for bar in ax.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        assert bar.get_x() == pytest.approx(ends.get(row, 0.0))
        ends[row] = bar.get_x() + bar.get_width()
    assert ends == {0: pytest.approx(1.0), 1: pytest.approx(1.0)}
    assert ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    plt.close("all")


def test_quote_needs_a_page_to_tell(monkeypatch):
    monkeypatch.setitem(sys.modules, "myst_nb", None)  # as in a reader's browser
    assert quote("share", 35.588, ".1f") is None
    with pytest.raises(ValueError, match=r"(?i)format"):
        quote("share", 35.588, "nonsense")
