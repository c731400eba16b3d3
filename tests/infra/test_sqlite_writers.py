"""Writers of the server's SQLite database: each comes to its turn, and none is refused."""

import asyncio
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from infra.prefect_server_app import BUSY_MS, SqliteInTurns

NUM_WRITERS = 20
DatabaseT = TypeVar("DatabaseT", bound=AioSqliteConfiguration)


async def opened(folder: Path, configuration: type[DatabaseT] = SqliteInTurns) -> DatabaseT:
    """Return a database with one number in it."""
    database = configuration(connection_url=f"sqlite+aiosqlite:///{folder / 'a.db'}")
    session = await database.session(await database.engine())
    async with session, database.begin_transaction(session):
        await session.execute(sa.text("create table counter (number integer)"))
        await session.execute(sa.text("insert into counter values (0)"))
    return database


async def number(session: AsyncSession) -> int:
    """Return the number."""
    return int((await session.execute(sa.text("select number from counter"))).scalar_one())


async def test_what_is_read_may_be_written_whoever_writes_meanwhile(tmp_path: Path) -> None:
    """Transactions that read and then write are neither refused nor lost, however many come."""
    database = await opened(tmp_path)

    async def add_one() -> None:
        session = await database.session(await database.engine())
        async with session, database.begin_transaction(session):
            found = await number(session)
            await asyncio.sleep(0)  # others have every chance to come in between
            statement = sa.text("update counter set number = :number")
            await session.execute(statement, {"number": found + 1})

    await asyncio.gather(*(add_one() for _ in range(NUM_WRITERS)))
    session = await database.session(await database.engine())
    async with session:
        assert await number(session) == NUM_WRITERS
        busy = await session.execute(sa.text("pragma busy_timeout"))
        assert busy.scalar_one() == BUSY_MS


async def test_a_transaction_inside_of_another_does_not_wait_for_it(tmp_path: Path) -> None:
    """One that its own caller holds the turn for goes on at once, and the turn is given back."""
    database = await opened(tmp_path)
    outer = await database.session(await database.engine())
    async with outer, database._in_turn():
        inner = await database.session(await database.engine())
        async with asyncio.timeout(5), inner, database.begin_transaction(inner):
            assert await number(inner) == 0
    assert not database._turn.locked()


async def test_prefect_itself_refuses_a_writer(tmp_path: Path) -> None:
    """Its own configuration has the fault; where it has not, ours can go."""
    database = await opened(tmp_path, AioSqliteConfiguration)
    has_read, write = asyncio.Event(), sa.text("update counter set number = number + 1")
    refused = ""

    async def write_in_between() -> None:
        await has_read.wait()
        session = await database.session(await database.engine())
        async with session, database.begin_transaction(session):
            await session.execute(write)

    other = asyncio.create_task(write_in_between())
    session = await database.session(await database.engine())
    async with session, database.begin_transaction(session):
        await number(session)
        has_read.set()
        await asyncio.wait([other], timeout=2)
        try:
            await session.execute(write)
        except OperationalError as error:
            refused = str(error)
    await other
    assert "database is locked" in refused, "Prefect takes turns now: see prefect_server_app.py"
