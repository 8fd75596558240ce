"""What a run shows of itself tells how far it has come."""

import io

from rich.console import Console
from rich.progress import Progress

from training.report import Stages


def test_a_stage_that_stopped_early_and_is_over_has_a_full_bar():
    progress = Progress(console=Console(file=io.StringIO()))
    stages = Stages(progress)
    advance = stages.stage("Copycat", total=12, unit="epochs")
    advance(5)

    assert not progress.finished

    stages.end()

    assert progress.finished
    assert progress.tasks[0].percentage == 100
