"""What a bundle was like where it was trained and judged: what drift in the field is measured against.

Population statistics only; nobody's values are in it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class TrainingReference(BaseModel):
    """`reference.json`, which a bundle may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_name: Literal["amrs-reference/1"] = Field("amrs-reference/1", alias="schema")
    mean_squared_error: dict[str, Share]
    """Signal → that of its prediction on test listeners, the rating's being its Brier score; a signal that had no
    labels is absent."""
    mode_shares: dict[str, Share]
    """Mode → its share of the log's plays."""
    neighbour_distance: Annotated[float, Field(ge=0)]
    """Mean distance from a training song to the nearest other one, in the space of `support_points`."""
