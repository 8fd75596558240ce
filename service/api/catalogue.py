"""The catalogue over HTTP, for operators: songs put and withdrawn. Every replica follows within two seconds."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, Field, StringConstraints

from models.catalogue import Song
from service.access.caller import Scope
from service.api.dependencies import CallerDep, PartsDep, needs
from service.api.document import CONFLICTS
from service.api.fields import NO_NUL, Id, Incoming, Name, expected, refusal
from service.api.songs import CatalogueSongView, song_view
from service.api.strict import LargeBodyRoute
from service.journal.catalogue import PutSong, WithdrawSong

router = APIRouter(
    prefix="/v1/songs", tags=["songs"], route_class=LargeBodyRoute, dependencies=[needs(Scope.OPERATOR)]
)


def _once(tags: list[str]) -> list[str]:
    if len(set(tags)) != len(tags):
        raise refusal("each tag once", next(tag for tag in tags if tags.count(tag) > 1))
    return tags


Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024, pattern=NO_NUL),
    expected("a text of 1 to 1024 characters, without U+0000"),
]
Duration = Annotated[float, Field(gt=0, le=86_400), expected("a number of seconds above 0, to 86400")]
Component = Annotated[float, Field(ge=-1e6, le=1e6), expected("a number from -1000000 to 1000000")]
Embedding = Annotated[list[Component], Field(min_length=1, max_length=16_384)]


class SongBody(Incoming):
    """A song: all that is to be said of it, and an embedding in each space that changes."""

    title: Title | None = None
    artist: Name | None = None
    duration_seconds: Duration | None = None
    tags: Annotated[list[Name], Field(max_length=64), AfterValidator(_once)] = Field(default_factory=list)
    embeddings: Annotated[dict[Id, Embedding], Field(max_length=16)] = Field(default_factory=dict)


@router.put("/{song_id}", responses=CONFLICTS)
async def put_song(
    song_id: Annotated[Id, Path()], body: SongBody, caller: CallerDep, parts: PartsDep
) -> CatalogueSongView:
    """Add a song, or replace all that was said of it; saying so twice is saying it once.

    Embeddings in spaces that are not given stay. A song that was withdrawn stays withdrawn: putting it is refused.
    """
    song = Song(
        song_id=song_id,
        title=body.title,
        artist=body.artist,
        duration_seconds=body.duration_seconds,
        tags=tuple(body.tags),
    )
    act = PutSong(
        song=song,
        embeddings={space: np.array(vector, np.float32) for space, vector in body.embeddings.items()},
        widths=parts.live.widths(),
        at=parts.clock(),
        actor=caller.name,
    )
    return song_view(await parts.journal.administer(act))


@router.delete("/{song_id}", status_code=204)
async def withdraw_song(song_id: Annotated[Id, Path()], caller: CallerDep, parts: PartsDep) -> Response:
    """Never give the song to anybody again, from this answer on; histories that hold it are still read."""
    await parts.journal.administer(WithdrawSong(song_id=song_id, at=parts.clock(), actor=caller.name))
    return Response(status_code=204)
