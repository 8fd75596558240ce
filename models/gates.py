"""Gates: what a bundle must show before it may be promoted, what it showed, and judgements made later."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.errors import BundleError

Cell = str | float | None
"""One entry of a table; None where nothing could be measured."""


class Gate(BaseModel):
    """One requirement, as measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    required: str
    """In words and numbers: what had to hold."""
    measured: str
    """In numbers: what was found."""


class Table(BaseModel):
    """What the gates rest on, for whoever wants to see more than a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: str
    note: str = ""
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @model_validator(mode="after")
    def _is_a_rectangle(self) -> "Table":
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"table {self.title!r}: a row must have {len(self.header)} cells; got {len(row)}")
        return self


class GateReport(BaseModel):
    """`stress_report.json`: every gate; the bundle passes only if each of them does, and there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gates: tuple[Gate, ...]
    notes: tuple[str, ...] = ()
    """What was tried and how to read it, in sentences."""
    tables: tuple[Table, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the bundle may be promoted."""
        return bool(self.gates) and all(gate.passed for gate in self.gates)

    @property
    def failures(self) -> tuple[str, ...]:
        """One sentence for each gate that did not pass; or that nothing was measured."""
        if not self.gates:
            return ("no gate was measured",)
        return tuple(
            f"{gate.name}: required {gate.required}, measured {gate.measured}"
            for gate in self.gates
            if not gate.passed
        )


class Attestation(BaseModel):
    """A judgement made after a bundle was sealed: detached from it, it names the digest of what was judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: Literal["amrs-attestation/1"] = Field("amrs-attestation/1", alias="schema")
    version: str
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the bundle's manifest."""
    made: AwareDatetime
    code_version: str
    data_digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of the listening log on which it was judged."""
    seed: int
    report: GateReport


def failures_of(
    version: str, digest: str, sealed: GateReport, attestations: tuple[Attestation, ...]
) -> tuple[str, ...]:
    """Return what forbids promotion: failures sealed with the bundle, and those of any later judgement.

    A later pass takes no failure back: a judgement is not drawn again until it pleases.

    Raises:
        BundleError: an attestation names another bundle.
    """
    found = list(sealed.failures)
    for each in attestations:
        if each.digest != digest or each.version != version:
            raise BundleError(
                f"an attestation of bundle {version!r} must name its digest {digest}; it names {each.version!r}, "
                f"{each.digest}"
            )
        found += [f"judged again {each.made:%Y-%m-%d %H:%M}: {failure}" for failure in each.report.failures]
    return tuple(found)
