"""A preset for studies whose records are looked at, and not their quality: nothing is trained for long."""

from dataclasses import replace

from tests.training import small_run
from training.dpo import DpoConfig

PRESET = replace(
    small_run.PRESET,
    copycat=replace(small_run.PRESET.copycat, epochs=1),
    dpo=DpoConfig(steps=2, learning_rate=1e-3),
)
