"""What figures show once they are drawn."""

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from training.studies.cells import Figure


def panels(figures: Sequence[Figure]) -> dict[str, list[str]]:
    """Return the titles of each figure's panels that hold anything, by the figure's name."""
    found = {}
    for figure in figures:
        canvas = Canvas(layout="constrained")
        figure.draw(canvas)
        found[figure.name] = [axes.get_title() for axes in canvas.axes if axes.has_data()]
    return found
