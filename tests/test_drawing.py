"""The style of figures: colors that can be told apart, names that do not lie on each other."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from matplotlib.colors import to_rgb

from reloop2_keras.core import arm_styles
from reloop2_keras.core.choice import ARMS
from reloop2_keras.streaming import drawing, figures

# how the two commonest kinds of color-blind people see linear RGB (Machado et al., 2009)
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip


def seen(color, sight):
    """CIE Lab of a color as somebody sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(SIGHT[sight]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089] + 1e-9)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_colors_are_told_apart(sight):
    colors = {color for color, _ in arm_styles.STYLES.values()}
    for one, other in itertools.combinations(sorted(colors), 2):
        # 10 is seen at a glance; a pair that is merely "not the same" is at about 2
        assert np.linalg.norm(seen(one, sight) - seen(other, sight)) > 10, (one, other)


def test_no_two_arms_look_alike():
    arms = [*ARMS, "feature+sketch", "incremental+feature", "shuffled feature"]
    arms += ["exact hidden", "exact embedding", "feature base, cold", "feature base, warm"]
    looks = [(s["color"], str(s["ls"])) for s in (arm_styles.style(arm, arms) for arm in arms)]
    assert len(set(looks)) == len(looks)


def test_what_is_recommended_lies_on_top():
    looks = {arm: arm_styles.style(arm, ARMS) for arm in ARMS}
    others = [style for arm, style in looks.items() if arm != arm_styles.RECOMMENDED]
    assert looks[arm_styles.RECOMMENDED]["zorder"] > max(style["zorder"] for style in others)
    assert looks[arm_styles.RECOMMENDED]["lw"] > max(style["lw"] for style in others)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=30), st.floats(0.001, 0.3))
def test_spread_keeps_order_distance_and_bounds(heights, gap):
    placed = drawing.spread(heights, gap)
    room = 1 / (len(heights) - 1) if len(heights) > 1 else 1
    assert min(placed) >= -1e-6 and max(placed) <= 1 + 1e-6
    apart = np.diff(sorted(placed))
    assert (apart >= min(gap, room) - 1e-6).all()
    for i, j in itertools.combinations(range(len(heights)), 2):
        if heights[i] < heights[j]:
            assert placed[i] < placed[j]


def test_names_at_line_ends_do_not_overlap():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({arm: [0.1, 0.5] for arm in ARMS if arm != "frozen"})
    figure = figures.lines(table, "AUC", "AUC")
    figure.canvas.draw()
    (ax,) = figure.axes
    assert len(ax.texts) == len(table.columns)
    pixels = figure.dpi / 72
    heights = sorted(text.xyann[1] * ax.get_window_extent().height / pixels for text in ax.texts)
    assert min(np.diff(heights)) > 11  # points: each name has a line of its own
    assert all(text.get_fontsize() >= 11 for text in ax.texts)
