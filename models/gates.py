"""Gates: what a bundle must show before it may be promoted, and what it showed."""

from pydantic import BaseModel, ConfigDict


class Gate(BaseModel):
    """One requirement, as measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    required: str
    """In words and numbers: what had to hold."""
    measured: str
    """In numbers: what was found."""


class GateReport(BaseModel):
    """`stress_report.json`: every gate; the bundle passes only if each of them does, and there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gates: tuple[Gate, ...]

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
