"""Every constant of the simulated platform, with its unit and its reason; ranges are in the decision page.

Affect is measured in the unit of a report, [0, 1]; times in seconds; a song's latent valence, arousal and
appeal are standardised over the catalogue, so a gain reads as "report units per standard deviation".
Source: docs/decisions/simulated-platform.md; targets are AMRS Table 1 and the label SDs derived from Table 2.

Legend: V valence · A arousal · order of modes: unspecified, energize, focus, calm, sleep
"""

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Final

from models.errors import ConfigError

Pair = tuple[float, float]
"""One number for valence, one for arousal."""

PerMode = tuple[float, float, float, float, float]
"""One number per mode, in the order of `Mode`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSize:
    """How much is simulated; sessions, plays, ratings and end reports are met exactly."""

    listener_count: int
    song_count: int
    session_count: int
    play_count: int
    positive_rating_count: int
    negative_rating_count: int
    end_report_count: int

    def __post_init__(self) -> None:
        if not 0 < self.listener_count <= self.session_count <= self.play_count:
            raise ConfigError(
                "a platform needs at least one session per listener and one play per session; got "
                f"{self.listener_count} listeners, {self.session_count} sessions, {self.play_count} plays"
            )
        if self.positive_rating_count + self.negative_rating_count > self.play_count:
            raise ConfigError("a platform cannot have more ratings than plays")
        if self.end_report_count > self.session_count:
            raise ConfigError("a platform cannot have more end reports than sessions")
        if self.song_count < 100:
            raise ConfigError(f"a catalogue needs at least 100 songs; got {self.song_count}")


PAPER: Final = PlatformSize(
    listener_count=939,
    song_count=6_988,
    session_count=8_784,
    play_count=57_822,
    positive_rating_count=16_927,
    negative_rating_count=2_561,
    end_report_count=5_319,
)
"""AMRS Table 1."""


def sized_like_paper(listener_count: int, song_count: int) -> PlatformSize:
    """Return a platform of another size with the paper's sessions, plays, ratings and reports per listener."""
    share = listener_count / PAPER.listener_count
    return PlatformSize(
        listener_count=listener_count,
        song_count=song_count,
        session_count=round(PAPER.session_count * share),
        play_count=round(PAPER.play_count * share),
        positive_rating_count=round(PAPER.positive_rating_count * share),
        negative_rating_count=round(PAPER.negative_rating_count * share),
        end_report_count=round(PAPER.end_report_count * share),
    )


SIZES: Final = {
    "small": sized_like_paper(300, 1_500),
    "paper": PAPER,
    "large": sized_like_paper(10_000, 20_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SongParameters:
    """What songs are made of."""

    content_width: int = 8
    """Dimensions of taste-relevant content; enough for 24 genres to overlap."""
    cluster_count: int = 24
    """Genres; the platform knows them, and vetoes whole genres."""
    cluster_spread: float = 0.8
    """SD of genre centres per content dimension; the rest of the unit variance lies within genres."""
    artist_spread: float = 0.35
    """SD of artists around their genre's centre."""
    songs_per_artist: float = 8.0
    explained_by_content: Pair = (0.6, 0.7)
    """Share of a song's V and A variance that is linear in its content."""
    popularity_appeal: float = 0.5
    """Correlation of what the platform sees as popularity with what listeners find appealing."""
    tag_truth: float = 0.7
    """Correlation of the population's affect tags with the song's true V and A."""
    tag_spread: float = 0.18
    """SD of a tag on [0, 1]."""
    unreleased_share: float = 0.11
    """Songs in the catalogue that production has not put into rotation yet: the catalogue keeps growing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerParameters:
    """How listeners differ. Whether a listener is clinical is known to everybody; all else is hidden."""

    clinical_share: float = 0.4
    """The paper pools both applications and gives no share."""
    baseline_mean_consumer: Pair = (0.45, 0.44)
    baseline_mean_clinical: Pair = (0.40, 0.41)
    """Clinical listeners start lower; the pooled mean is the paper's rollouts' .43–.48."""
    baseline_spread: Pair = (0.105, 0.115)
    gain: Pair = (0.016, 0.020)
    """What one song one SD above the catalogue's mean V or A adds to V or A."""
    gain_spread: float = 0.4
    """SD of the logarithm of a listener's own gain."""
    tilt_spread: Pair = (0.004, 0.0035)
    """SD, per content dimension, of a listener's personal affective response to content."""
    inertia_mean: float = 0.94
    inertia_spread: float = 0.02
    """Share of the distance from the baseline that is left one song later."""
    engagement_spread: float = 0.16
    """SD of a listener's habit of hearing songs out."""
    rating_spread: float = 1.25
    """SD of a listener's generosity, in logits."""
    rating_habit_spread: float = 1.2
    """SD of a listener's habit of rating at all, in logits."""
    report_habit_spread: float = 1.0
    """SD of a listener's habit of reporting at a session's end, in logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackParameters:
    """How affect moves and what is observed of it."""

    liking_appeal: float = 0.5
    """Weight of the song's appeal in liking, beside taste · content of unit variance."""
    liking_lift: float = 0.008
    """What liking by one SD adds to valence."""
    process_spread: Pair = (0.030, 0.036)
    """SD of what else moves affect during one song."""
    session_spread: Pair = (0.14, 0.155)
    """SD of where a session starts around the listener's baseline."""
    report_spread: Pair = (0.11, 0.138)
    """SD of a report around the truth; reports are clipped to [0, 1]."""
    circadian_arousal: float = 0.03
    """Amplitude of the arousal at a session's start over the day, highest at 15:00."""
    mode_valence: PerMode = (0.0, 0.01, 0.0, -0.03, -0.01)
    mode_arousal: PerMode = (0.0, -0.04, 0.01, 0.05, -0.05)
    """Where a session starts, by what it is wanted for: who asks for calm is not calm."""
    engagement_mean: float = 0.74
    engagement_liking: float = 0.08
    engagement_valence: float = 0.1
    """What a valence one unit above the listener's baseline adds to engagement."""
    engagement_noise: float = 0.29
    rating_liking: float = 0.85
    """Logits that one SD of liking adds to the odds of a like."""
    rated_liking: float = 0.25
    """Logits that one SD of |liking| adds to the odds of rating at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParameters:
    """When and how long people listen."""

    sessions_log_spread: float = 1.45
    """SD of the logarithm of sessions per listener: a heavy tail."""
    sessions_cap: int = 130
    plays_shape: float = 2.5
    """Shape of the negative binomial of plays per session beyond the first."""
    mode_share_consumer: PerMode = (0.10, 0.20, 0.25, 0.25, 0.20)
    mode_share_clinical: PerMode = (0.60, 0.08, 0.02, 0.25, 0.05)
    """The consumer application asks for a mode, the clinical one seldom does."""
    mode_hour: PerMode = (14.0, 10.0, 11.0, 18.0, 22.0)
    """Local hour around which each mode is wanted; SD 2.5 hours."""
    hour_spread: float = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionParameters:
    """The fixed production policy: preference retrieval, population tags, playback rules (AMRS §3.4)."""

    profile_weight: float = 2.2
    popularity_weight: float = 0.7
    tag_weight: float = 0.7
    tag_valence: float = 0.6
    """Weight of the valence tag, the same in every mode."""
    tag_arousal: PerMode = (0.0, 1.0, 0.2, -1.0, -1.3)
    """Weight of the arousal tag by mode."""
    jitter: float = 1.3
    """Scale of the Gumbel noise of retrieval; it is not logged, hence no propensities."""
    retrieved_count: int = 1000
    """Songs that retrieval looks at for one choice, drawn uniformly with replacement."""
    profile_rate: float = 0.2
    """Weight of a song heard out in the moving average of what a listener hears out."""
    heard_out: float = 0.8
    """Engagement from which a song counts as heard out."""
    skipped: float = 0.3
    """Engagement below which a song counts as skipped."""
    veto_plays: int = 8
    """Plays for which the genre of a skipped song stays away."""
    repeat_plays: int = 40
    """Plays within which no song comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingParameters:
    """One embedding space: a random network's view of noised latents.

    The noise is on the latents, not on the 768 outputs: noise per output averages out over the outputs, and
    a linear probe would then read the latents almost without error.
    """

    width: int = 768
    hidden_width: int = 256
    nonlinearity: float = 1.0
    """SD of the hidden units before their tanh; towards 0 the network becomes linear."""
    content_noise: float
    valence_noise: float
    arousal_noise: float
    appeal_noise: float
    sound_noise: float
    """Noise of energy and tempo."""
    spectrum_decay: float
    """How fast the directions lose variance: the k-th has k to the power of minus this."""
    common_offset: float
    """Length of the mean vector in units of the typical deviation: anisotropy, as in audio models."""


MERT_SIM: Final = EmbeddingParameters(
    content_noise=0.45,
    valence_noise=0.9,
    arousal_noise=0.7,
    appeal_noise=2.0,
    sound_noise=0.3,
    spectrum_decay=0.5,
    common_offset=1.5,
)
"""Acoustic: the better view of valence, tempo and energy."""

CLAMP3_SIM: Final = EmbeddingParameters(
    content_noise=0.7,
    valence_noise=1.4,
    arousal_noise=0.8,
    appeal_noise=2.5,
    sound_noise=0.8,
    spectrum_decay=0.7,
    common_offset=0.8,
)
"""Semantic: weaker than the acoustic space on everything but arousal, where it nearly keeps up (AMRS §4.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformParameters:
    """Everything that, with a size and a seed, fixes a simulated platform."""

    songs: SongParameters = SongParameters()
    listeners: ListenerParameters = ListenerParameters()
    feedback: FeedbackParameters = FeedbackParameters()
    sessions: SessionParameters = SessionParameters()
    production: ProductionParameters = ProductionParameters()
    mert_sim: EmbeddingParameters = MERT_SIM
    clamp3_sim: EmbeddingParameters = CLAMP3_SIM

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that change with every constant."""
        return blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=16).hexdigest()
