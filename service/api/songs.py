"""Songs over HTTP, to be read; `service.api.catalogue` is how operators change them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from service.access.caller import Scope
from service.api.dependencies import PartsDep, needs
from service.api.fields import Id, Outgoing
from service.journal.songs import SongRecord, list_songs, read_song

router = APIRouter(prefix="/v1/songs", tags=["songs"], dependencies=[needs(*Scope)])


class CatalogueSongView(Outgoing):
    """A song of the catalogue."""

    song_id: str
    title: str | None
    artist: str | None
    duration_seconds: float | None
    tags: list[str]
    withdrawn: bool


class SongsView(Outgoing):
    """A page of songs in the order of their ids; `after` leads to the next page, if there is one."""

    songs: list[CatalogueSongView]
    after: str | None


@router.get("")
async def songs(
    parts: PartsDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[Id | None, Query()] = None,
) -> SongsView:
    """Return a page of the catalogue; `after` of one page asks for the next."""
    found = await parts.journal.read(lambda sql: list_songs(sql, limit=limit + 1, after=after))
    page = [song_view(record) for record in found[:limit]]
    return SongsView(songs=page, after=page[-1].song_id if len(found) > limit else None)


@router.get("/{song_id}")
async def song(song_id: Annotated[Id, Path()], parts: PartsDep) -> CatalogueSongView:
    """Return one song."""
    return song_view(await parts.journal.read(lambda sql: read_song(sql, song_id)))


def song_view(record: SongRecord) -> CatalogueSongView:
    """Return a song as it goes over the wire."""
    return CatalogueSongView(
        song_id=record.song.song_id,
        title=record.song.title,
        artist=record.song.artist,
        duration_seconds=record.song.duration_seconds,
        tags=list(record.song.tags),
        withdrawn=record.withdrawn,
    )
