"""A walk through the OpenAPI document by schemathesis: invented requests, lawful and not, and chains of them."""

from collections import Counter
from dataclasses import dataclass, field

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

KEY = "a-key-that-is-long-enough"
STOOD_STILL = 300.0
"""Seconds that the machine may stand still before that counts as the service's fault."""


@dataclass
class Walk:
    """What a walk met."""

    cases: int = 0
    statuses: Counter = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """Operation and check → the first request that failed it, and how."""
    errors: list[str] = field(default_factory=list)


def walk(url: str, *, examples: int, chains: int, edges: bool, seed: int = 4) -> Walk:
    """Walk through the document of the service that listens at a URL.

    Args:
        url: where it listens.
        examples: how many requests are invented for each operation.
        chains: how many chains of requests are.
        edges: whether each operation is also asked at every edge of its schema, some thirty requests.
        seed: of what is invented.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {KEY}"},
            "continue-on-failure": True,
            "request-timeout": STOOD_STILL,
            "generation": {"max-examples": examples, "no-shrink": True, "deterministic": True, "database": "none"},
            "phases": {
                "coverage": {"enabled": edges},
                "stateful": {"generation": {"max-examples": chains}},
            },
            "operations": [{"include-name": name, **given} for name, given in _DEPENDING.items()],
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    found = Walk()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                _take(found, event.recorder)
            case events.NonFatalError() | events.FatalError():
                found.errors.append(
                    str(event.value if isinstance(event, events.NonFatalError) else event.exception)
                )
    return found


_ACCEPTED = ["2xx", "401", "403", "404", "409", "422", "429", "503"]
_DEPENDING = {
    name: {"checks": {"positive_data_acceptance": {"expected-statuses": _ACCEPTED}}}
    for name in (
        "POST /v1/listeners/{listener_id}/sessions",  # the live bundle says what a context holds
        "PUT /v1/songs/{song_id}",  # and how wide an embedding is
    )
}
"""What no document can say beforehand: there a lawful request may still be refused with 422."""


def _take(found: Walk, recorder: object) -> None:
    for case_id, interaction in recorder.interactions.items():
        found.cases += 1
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1
        else:
            found.errors.append(f"no answer to {interaction.request.method} {interaction.request.uri}")
        found.operations.add(recorder.cases[case_id].value.operation.label)
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.FAILURE:
                case, shown = recorder.cases[case_id].value, recorder.interactions.get(case_id)
                answer = shown.response.content[:300] if shown and shown.response else b""
                told = f"{case.as_curl_command()}\n  {check.failure_info.failure}\n  {answer!r}"
                found.failures.setdefault((case.operation.label, check.name), told)
