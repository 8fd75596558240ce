"""Invented titles and artists, readable and plainly marked as simulated.

None is meant to be a real one; every artist carries the mark, so that no list of songs can be mistaken for
a real catalogue.
"""

from typing import Final

import numpy as np

MARK: Final = "(simulated)"


def _words(text: str, separator: str = " ") -> list[str]:
    return text.split(separator)


_QUALITIES: Final = _words(
    "Amber Autumn Brass Bright Broken Cedar Clear Copper Coral Distant Drifting Early Empty Evening Faded "
    "Feather First Frozen Gentle Glass Golden Green Hidden Hollow Idle Inland Iron Ivory Lantern Last Late "
    "Linen Little Lost Low Marble Midnight Morning Mossy Narrow Northern Open Painted Pale Paper Patient Quiet "
    "Restless River Saffron Salt Second Seven Silver Sleeping Slow Small Southern Still Sunlit Tall Tidal "
    "Tin Velvet Violet Wandering Warm Western White Wild Winter Wooden Woven Yellow"
)

_THINGS: Final = _words(
    "Acres Alphabet Anchor Arcade Avenue Balcony Bells Bicycle Blanket Bridge Calendar Canal Candle Carousel "
    "Chapel Cinema Cloud Compass Corner Courtyard Dance Daylight Doorway Echo Elevator Embers Engine Fable "
    "Ferry Field Fountain Garden Gravity Harbour Hill History Horizon Hour Island Kitchen Ladder Lake Letter "
    "Library Light Machine Map Meadow Mirror Motel Ocean Orchard Parade Passage Picnic Pier Planet Postcard "
    "Radio Rain Ribbon Road Room Season Shadow Signal Skyline Sparrow Staircase Station Story Street Summer "
    "Thunder Tide Tower Train Valley Voyage Waltz Water Weather Window"
)

_BANDS: Final = _words(
    "Lanterns Kites Sparrows Gardeners Postmen Almanacs Bakers Canopies Cartographers Clockmakers Commuters "
    "Correspondents Cousins Ferrymen Foxes Geologists Herons Islanders Janitors Librarians Lighthouses Magpies "
    "Mariners Neighbours Orchards Otters Pilots Planets Printers Pylons Rooftops Rowers Scholars Sextants "
    "Shepherds Stargazers Sundials Swimmers Tailors Telegraphs Tenants Travellers Umbrellas Violets "
    "Weathermen Weavers Windmills"
)

_GENRES: Final = _words(
    "lantern folk|harbour jazz|glass ambient|paper pop|copper rock|velvet soul|tidal electronica|cedar country|"
    "marble classical|feather choral|brass parade|midnight synth|linen lullaby|saffron dance|winter piano|"
    "wooden blues|river strings|skyline house|ember ballad|orchard swing|station dub|meadow acoustic|"
    "iron metal|festival disco",
    "|",
)


def genre_names(count: int) -> list[str]:
    """Return one invented genre per cluster."""
    return [_GENRES[i % len(_GENRES)] + ("" if i < len(_GENRES) else f" {i}") for i in range(count)]


def draw_artists(count: int, rng: np.random.Generator) -> list[str]:
    """Return distinct artists, as `The Paper Lanterns (simulated)`."""
    drawn = _distinct(count, len(_QUALITIES) * len(_BANDS), rng)
    names = []
    for number, again in drawn:
        quality, band = divmod(number, len(_BANDS))
        ordinal = f" No. {again + 1}" if again else ""
        names.append(f"The {_QUALITIES[quality]} {_BANDS[band]}{ordinal} {MARK}")
    return names


def draw_titles(count: int, rng: np.random.Generator) -> list[str]:
    """Return distinct titles, as `Slow Rain, Open Window`."""
    halves = len(_QUALITIES) * len(_THINGS)
    drawn = _distinct(count, halves, rng)
    names = []
    for number, again in drawn:
        quality, thing = divmod(number, len(_THINGS))
        title = f"{_QUALITIES[quality]} {_THINGS[thing]}"
        names.append(f"{title}, Pt. {again + 1}" if again else title)
    return names


def _distinct(count: int, possible: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return `count` distinct pairs (combination, round); a new round begins when combinations run out."""
    rounds = [rng.permutation(possible) for _ in range(-(-count // possible))]
    return [(int(number), again) for again, numbers in enumerate(rounds) for number in numbers][:count]
